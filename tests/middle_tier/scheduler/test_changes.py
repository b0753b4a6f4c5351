import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from middle_tier.scheduler.changes import KEPT, Changes, Copy, Places

rows = st.lists(st.integers(0, 9), min_size=1, max_size=4)


@given(
    st.lists(st.lists(rows | st.none(), max_size=KEPT + 3), max_size=8),
    st.sets(st.integers(0, 9), min_size=1).map(sorted),
)
def test_a_copy_says_what_the_table_says_however_often_it_looks(spells, kept):
    table, changes = np.zeros((2, 10)), Changes()
    copy = Copy(Places(np.array(kept)), changes)
    for step, spell in enumerate(spells):
        for number, changed in enumerate(spell):
            table[:, slice(None) if changed is None else changed] = 100.0 * step + number
            changes.add(None if changed is None else np.array(changed))
        copy.renew(table)
        assert (copy.now[:, :-1] == table[:, kept]).all()


def test_a_copy_of_a_table_that_has_grown_stays_current():
    changes = Changes()
    copy = Copy(Places(np.array([1])), changes)
    copy.renew(np.zeros((2, 2)))
    changes.add(np.array([1, 3]))
    copy.renew(np.ones((2, 4)))
    assert (copy.now[:, 0] == 1).all()
