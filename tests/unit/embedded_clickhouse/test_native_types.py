"""How many bytes a column takes."""

import pytest

from ingest.embedded.clickhouse.native_types import parse_type


@pytest.mark.parametrize(("element", "bits"), [("BFloat16", 16), ("Float32", 32), ("Float64", 64)])
def test_a_vector_of_bits_takes_a_string_for_each_bit_of_its_element(element: str, bits: int) -> None:
    # The engine: QBit(T, 9) is bits(T) columns of FixedString(2).
    assert parse_type(f"QBit({element}, 9)").size == bits * 2
