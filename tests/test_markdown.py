"""Text in Markdown that nothing in it ends."""

from ranksearch.markdown import code


def test_code_ends_where_it_should() -> None:
    assert code("conv1") == "`conv1`"
    assert code("```") == "```` ``` ````"
    assert code("a|b\n\n# c") == r"`a\|b # c`"
    assert code("") == "` `"
