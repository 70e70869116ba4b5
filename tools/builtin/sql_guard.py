"""What may be asked of a database: one statement that only reads, by functions known to be harmless.

This is the second fence. The first is the connection: it reads only, and its role should be one that may read nothing
else. Functions are allowed by name and not forbidden by name, as databases grow new ways to sleep, to read files and
to run text as a statement with every version.
"""

from __future__ import annotations

import re

from tools.errors import ToolFailed

MAX_SQL = 20_000
_STARTS = ("SELECT", "WITH", "VALUES")
# Followed by a parenthesis without being functions.
_WORDS = frozenset(
    """
    ALL ANY AND AS BETWEEN BY CASE CROSS DISTINCT ELSE EXCEPT EXISTS FILTER FROM GROUP HAVING IN INTERSECT IS JOIN
    LATERAL LIKE ILIKE LIMIT MATERIALIZED NOT OFFSET ON OR ORDER OVER PARTITION RECURSIVE ROW ROWS SELECT SETS SOME
    THEN UNION USING VALUES WHEN WHERE WINDOW WITH WITHIN ARRAY CUBE ROLLUP GROUPING RANGE CHAR CHARACTER VARCHAR
    VARYING NUMERIC DECIMAL FLOAT TIME TIMESTAMP INTERVAL BIT PRECISION
    """.split()  # noqa: SIM905 (a list would take four times the room)
)
_FUNCTIONS = frozenset(
    """
    abs age array_agg array_length array_to_string avg bool_and bool_or bit_length btrim cardinality cast ceil ceiling
    char_length character_length coalesce concat concat_ws corr count covar_pop covar_samp cume_dist current_date date
    date_bin date_part date_trunc datetime dense_rank div every exp extract first_value floor format_type greatest
    group_concat ifnull iif initcap instr isfinite json_agg json_array_length json_extract json_extract_path_text
    json_object_agg json_type json_valid jsonb_agg jsonb_array_length jsonb_extract_path_text jsonb_object_agg
    jsonb_typeof julianday justify_days justify_hours lag last_value lead least left length ln log log10 lower ltrim
    make_date make_interval make_timestamp max md5 min mod mode nth_value ntile nullif octet_length overlay
    percent_rank percentile_cont percentile_disc pi position power quote_ident quote_literal quote_nullable rank
    regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regexp_count regexp_instr regexp_like
    regexp_match regexp_replace regexp_substr replace reverse right round row_number row_to_json rtrim sign split_part
    sqrt starts_with stddev stddev_pop stddev_samp strftime string_agg string_to_array strpos substr substring sum
    time timestamp to_char to_date to_json to_jsonb to_number to_timestamp total translate trim trunc typeof unicode
    unixepoch unnest upper var_pop var_samp variance width_bucket
    """.split()  # noqa: SIM905 (a list would take four times the room)
)
"""Functions that compute from their arguments and do nothing else, here and there."""
_TOKEN = re.compile(
    r"""\s+|(?P<text>'(?:[^']|'')*')|(?P<quoted>"(?:[^"]|"")+")|(?P<word>[^\W\d]\w*)"""
    r"""|(?P<number>\d\w*(?:\.\d\w*)?)|(?P<sign>--|/\*|[-+*/%<>=!|&^~#@?:.,()\[\]])"""
)


def check_statement(sql: str) -> str:
    """Give the statement without the semicolon at its end; raises ToolFailed with the reason why it is not carried out.

    Whatever databases read in different ways (comments, escapes, dollar quotes) is refused, so that there is one way
    to read the rest. A list of columns behind a name, as in `WITH t (a) AS …`, looks like a function
    and is refused too.
    """
    if len(sql) > MAX_SQL:
        raise ToolFailed(f"A statement has at most {MAX_SQL:,} characters.")
    plain = sql.strip().rstrip(";").strip()
    before, position, is_first = "", 0, True
    while position < len(plain):
        found = _TOKEN.match(plain, position)
        if found is None:
            _refuse(plain[position])
            break
        position = found.end()
        if found.lastgroup is None:
            continue  # Space between.
        part = found[0]
        if is_first and part.upper() not in _STARTS:
            raise ToolFailed(f"Only {', '.join(_STARTS)} are carried out; nothing is changed.")
        if part in ("--", "/*"):
            raise ToolFailed("Comments are not read; leave them out.")
        if found.lastgroup in ("text", "quoted") and plain[found.start() - 1 : found.start()].strip() in _PREFIXES:
            raise ToolFailed("Texts and names with a prefix, as in E'…', are not read.")
        if part == "(":
            _check_call(before)
        before, is_first = part, False
    if is_first:
        raise ToolFailed("The statement is empty.")
    return plain


_PREFIXES = (*"eEbBxXnN&", "$")


def _refuse(sign: str) -> None:
    if sign == ";":
        raise ToolFailed("Exactly one statement is carried out at a time.")
    raise ToolFailed(f"The character {sign!r} can't stand here: only plain statements are read.")


def _check_call(before: str) -> None:
    """Look at what stands before a parenthesis."""
    if before.upper() in _WORDS or not (before[:1] in ('"', "]") or before[:1].isalpha() or before[:1] == "_"):
        return
    # A name in quotes is the same function, but none of the words.
    if before.strip('"').lower() not in _FUNCTIONS:
        raise ToolFailed(
            f"The function {before[:60]} is not allowed here. Only functions that compute from their arguments are."
        )
