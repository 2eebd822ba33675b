"""What workers share of their budgets: together they spend no more than one would, and a killed one gives back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from proxy.core.money.account import Account, reserve, settle
from proxy.core.money.budget import Budget, Owned, Per, Scope
from proxy.engine.till import Till

ROOT = Path(__file__).parents[2]
NOON = 1_795_262_400.0
WORKER = f"""
import sys
from pathlib import Path
from proxy.core.money.account import Account, reserve, settle
from proxy.core.money.budget import Budget, Owned, Per, Scope
from proxy.engine.till import Till

till = Till(Path(sys.argv[1]))
account = Account(Owned(Scope.ALL, "", Per.DAY), Budget(int(sys.argv[2]), Per.DAY), {NOON})
till.join(account)

def take(amount):
    till.load((account,))
    short = reserve((account,), amount, {NOON})
    till.store((account,))
    return short is None

def pay(held, cost):
    till.load((account,))
    passed = [one.passed() for one in settle((account,), held, cost, {NOON})]
    till.store((account,))
    return passed

print("ready", flush=True)
for line in sys.stdin:
    print(eval(line), flush=True)
"""


class Worker:
    """Another process with the same till."""

    def __init__(self, directory: Path, amount: int) -> None:
        command = [sys.executable, "-c", WORKER, str(directory), str(amount)]
        self.child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._line() == "ready"

    def _line(self) -> str:
        assert self.child.stdout is not None
        return self.child.stdout.readline().strip()

    def ask(self, code: str) -> str:
        self.tell(code)
        return self._line()

    def tell(self, code: str) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write(code + "\n")
        self.child.stdin.flush()

    def answer(self) -> str:
        return self._line()

    def end(self, *, kill: bool = False) -> None:
        if kill:
            self.child.kill()
        assert self.child.stdin is not None and self.child.stdout is not None
        self.child.stdin.close()
        self.child.wait(30)
        self.child.stdout.close()


def account(amount: int, now: float = NOON, per: Per = Per.DAY) -> Account:
    return Account(Owned(Scope.ALL, "", per), Budget(amount, per), now)


@pytest.fixture
def till(tmp_path: Path) -> Till:
    return Till(tmp_path)


def test_two_at_once_take_exactly_what_there_is(tmp_path: Path) -> None:
    workers = [Worker(tmp_path, 1000) for _ in range(2)]
    for worker in workers:
        worker.tell("sum(take(1) for _ in range(800))")
    assert sum(int(worker.answer()) for worker in workers) == 1000
    for worker in workers:
        worker.end()


def test_what_one_has_spent_and_reserved_is_not_there_for_the_other(tmp_path: Path, till: Till) -> None:
    own, other = account(100), Worker(tmp_path, 100)
    assert till.join(own)
    assert other.ask("take(60)") == "True"
    till.load((own,))
    assert reserve((own,), 60, NOON) is own
    till.store((own,))
    assert (own.spent, own.reserved) == (0, 60)
    assert other.ask("pay(60, 10)") == "[]"
    till.load((own,))
    assert (own.spent, own.reserved) == (10, 0)
    assert reserve((own,), 90, NOON) is None
    till.store((own,))
    assert other.ask("take(1)") == "False"
    other.end()
    till.close()


def test_what_a_killed_worker_had_reserved_is_free_again_and_what_it_spent_is_not(tmp_path: Path, till: Till) -> None:
    own, other = account(100), Worker(tmp_path, 100)
    till.join(own)
    assert other.ask("take(30), pay(30, 30), take(50)") == "(True, [], True)"
    other.end(kill=True)
    till.load((own,))
    assert (own.spent, own.reserved) == (30, 50)
    till.store((own,))
    till.drop_dead()
    till.load((own,))
    assert (own.spent, own.reserved) == (30, 0)
    till.store((own,))
    third = Worker(tmp_path, 100)
    assert third.ask("take(70)") == "True"
    till.drop_dead()
    assert third.ask("take(1)") == "False", "a living worker keeps its own"
    third.end()
    till.close()


def test_a_threshold_is_told_by_one_of_them(tmp_path: Path, till: Till) -> None:
    own, other = account(100), Worker(tmp_path, 100)
    till.join(own)
    assert other.ask("take(50), pay(50, 50)") == "(True, [[50]])"
    till.load((own,))
    assert reserve((own,), 10, NOON) is None
    assert settle((own,), 10, 10, NOON) == ()
    till.store((own,))
    assert other.ask("take(20), pay(20, 20)") == "(True, [[80]])"
    other.end()
    till.close()


def test_a_new_period_begins_for_all_and_what_was_held_before_it_ends_in_the_old_one(
    tmp_path: Path, till: Till
) -> None:
    own, other = account(100), Worker(tmp_path, 100)
    till.join(own)
    assert other.ask("take(90)") == "True"
    till.load((own,))
    assert reserve((own,), 40, NOON + 86400) is None
    till.store((own,))
    assert other.ask("pay(90, 90)") == "[]"
    till.load((own,))
    assert (own.spent, own.reserved) == (0, 40)
    till.store((own,))
    other.end()
    till.close()


def test_who_comes_later_knows_what_is_spent_and_the_record_counts_where_it_says_more(
    tmp_path: Path, till: Till
) -> None:
    other = Worker(tmp_path, 100)
    assert other.ask("take(30), pay(30, 30)") == "(True, [])"
    own = account(100)
    own.was_spent(20)
    assert till.join(own)
    assert own.spent == 30
    more = account(100)
    more.was_spent(45)
    assert till.join(more)
    assert other.ask("take(60)") == "False"
    other.end()
    till.close()


def test_each_budget_has_its_own_row(till: Till) -> None:
    accounts = [Account(Owned(Scope.KEY, f"k{place}", Per.DAY), Budget(10, Per.DAY), NOON) for place in range(300)]
    assert not any(till.join(one) for one in accounts)
    till.load(accounts)
    assert reserve(accounts[:5], 7, NOON) is None
    till.store(accounts)
    till.load(accounts)
    assert [one.reserved for one in accounts] == [7] * 5 + [0] * 295
    till.store(accounts)
    till.close()
