-- A failing row is a clock that has no row, or several: nothing would be judged, and no alert raised,
-- by anybody. Likely cause: no tick is as old as what the marts are built to.
select count() as rows_of_clock
from {{ ref('slo_clock') }}
having rows_of_clock != 1
