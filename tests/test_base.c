/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include "base/json.h"

static void test_text_split_leaves_out_empty_pieces(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	struct words words = text_split(&arena, "  a\tbb  c ", " \t");
	assert_int_equal(words.n, 3);
	assert_string_equal(words.word[1], "bb");
	assert_int_equal(text_split(&arena, NULL, " ").n, 0);
	assert_int_equal(text_split(&arena, "   ", " ").n, 0);
}

static void test_text_line_knows_both_line_ends(void **state)
{
	(void)state;
	struct bytes text = { "a\r\n\nlast", 8 }, line;
	size_t cursor = 0, sizes[] = { 1, 0, 4 };
	for (size_t i = 0; i < COUNT(sizes); i++) {
		assert_true(text_line(text, &cursor, &line));
		assert_int_equal(line.size, sizes[i]);
	}
	assert_false(text_line(text, &cursor, &line));
}

static void test_text_matches(void **state)
{
	(void)state;
	static const struct { const char *pattern, *word; bool matches; } rows[] = {
		{ "*", "", true }, { "a*c", "abbc", true }, { "a*c", "abb", false }, { "a?c", "abc", true },
		{ "a?c", "ac", false }, { "", "", true }, { "", "a", false }, { "*a*b", "xaxbxab", true },
		{ "pci:v000010DEd*sv*", "pci:v000010DEd00002803sv1", true }, { "[a]", "[a]", true }, { "[a]", "a", false },
	};
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(text_matches(rows[i].pattern, rows[i].word), rows[i].matches);
	/* many stars on a long word must not take for ever */
	char pattern[201], word[20001];
	for (size_t i = 0; i < 200; i += 2)
		memcpy(pattern + i, "*a", 2);
	pattern[200] = '\0';
	memset(word, 'a', 20000);
	word[19999] = 'b';
	word[20000] = '\0';
	assert_false(text_matches(pattern, word));
}

static void test_text_number_is_strict(void **state)
{
	(void)state;
	static const struct { const char *text; int base; uint64_t max; bool good; uint64_t number; } rows[] = {
		{ "0", 10, 9, true, 0 }, { "10", 10, 9, false, 0 }, { "0x10de", 0, 0xffff, true, 0x10de }, { "-1", 10, 99, false, 0 },
		{ "+1", 10, 99, false, 0 }, { " 1", 10, 99, false, 0 }, { "1 ", 10, 99, false, 0 }, { "", 10, 9, false, 0 },
		{ "18446744073709551616", 10, UINT64_MAX, false, 0 }, { "18446744073709551615", 10, UINT64_MAX, true, UINT64_MAX },
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t number = 77;
		assert_int_equal(text_number(rows[i].text, rows[i].base, rows[i].max, &number), rows[i].good);
		assert_int_equal(number, rows[i].good ? rows[i].number : 77);
	}
}

static void test_text_sh_quoted_survives_a_real_shell(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	static const char *const words[] = { "plain", "two words", "it's", "$(touch x)", "`x`", "\"", "a\nb", "", "-n", "*", "\\" };
	for (size_t i = 0; i < COUNT(words); i++) {
		FILE *shell = popen(arena_printf(&arena, "printf '%%s' %s", text_sh_quoted(&arena, words[i])), "r");
		char out[64] = "";
		size_t size = fread(out, 1, sizeof out - 1, shell);
		assert_int_equal(pclose(shell), 0);
		assert_int_equal(size, strlen(words[i]));
		assert_string_equal(out, words[i]);
	}
}

static void test_json_shows_no_sign_that_misleads(void **state)
{
	(void)state;
	static const struct {
		const char *text, *shown;
	} rows[] = {
		{ "\xc3\xa4 \xe6\xbc\xa2 \xf0\x9f\x99\x82", "[\"\xc3\xa4 \xe6\xbc\xa2 \xf0\x9f\x99\x82\"]\n" },
		{ "a\xc2\x9b" "31m\x7f", "[\"a\\u009b31m\\u007f\"]\n" },
		{ "\xe2\x80\xae\xd8\x9c\xef\xbb\xbf", "[\"\\u202e\\u061c\\ufeff\"]\n" },
		{ "\xf3\xa0\x80\xa1", "[\"\\udb40\\udc21\"]\n" },
		{ "\x1b\"\\", "[\"\\u001B\\\"\\\\\"]\n" },
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena arena ARENA_SCOPED = {0};
		json_t *list = json_array();
		json_add(list, json_raw_text(rows[i].text));
		const char *shown = json_print(&arena, list, false);
		assert_string_equal(shown, rows[i].shown);
		struct err err;
		json_t *again;
		assert_true(json_parse((struct bytes){ shown, strlen(shown) }, "x", &err, &again));
		assert_true(json_equal(list, again));
		json_decref(again);
		json_decref(list);
	}
}

static void test_text_sh_line_joins_words(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	const char *const argv[] = { "echo", "a b", "''", "", "c", NULL }, *const none[] = { NULL };
	assert_string_equal(text_sh_line(&arena, argv), "echo 'a b' ''\\'''\\''' '' c");
	assert_string_equal(text_sh_line(&arena, none), "");
}

static void test_text_printable_leaves_no_control_behind(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	static const struct { const char *raw; size_t size; const char *shown; } rows[] = {
		{ "gr\xc3\xbc\xc3\x9f", 6, "gr\xc3\xbc\xc3\x9f" }, { "\033[31mred", 8, "\\x1b[31mred" }, { "a\nb\tc", 5, "a\\nb\\tc" },
		{ "\xff\xfe", 2, "\\xff\\xfe" }, { "a\0b", 3, "a\\x00b" }, { "\xc2\x9b" "1m", 4, "\\xc2\\x9b1m" },
		{ "\xe2\x80\xae" "x", 4, "\\xe2\\x80\\xaex" }, { "\xed\xa0\x80", 3, "\\xed\\xa0\\x80" }, { "\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80" },
	};
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_string_equal(text_printable(&arena, (struct bytes){ rows[i].raw, rows[i].size }), rows[i].shown);
}

static void test_text_base64_is_its_own_inverse(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	char raw[64];
	for (size_t size = 0; size < sizeof raw; size++) {
		for (size_t i = 0; i < size; i++)
			raw[i] = (char)(i * 37 + size * 11);
		struct bytes back;
		assert_true(text_unbase64(&arena, bytes_of(text_base64(&arena, (struct bytes){ raw, size })), &back));
		assert_int_equal(back.size, size);
		assert_memory_equal(back.data, raw, size);
	}
	static const char *const bad[] = { "A", "AB", "ABC", "AB=", "A===", "AB==CD==", "====", "AB\x01=", "ABCDE" };
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct bytes back;
		assert_false(text_unbase64(&arena, bytes_of(bad[i]), &back));
	}
}

static void test_text_version_compare(void **state)
{
	(void)state;
	static const char *const ascending[] = { "5.15", "6.2", "6.8~rc1", "6.8", "6.8.4", "6.8.12-4-pve", "6.8.12-10-pve", "6.14.0" };
	for (size_t i = 0; i < COUNT(ascending); i++)
		for (size_t j = 0; j < COUNT(ascending); j++) {
			int order = text_version_compare(ascending[i], ascending[j]);
			assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
		}
}

static void test_json_keeps_the_three_answers_apart(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	json_t *document JSON_SCOPED = json_document("inspect");
	json_put(document, "unknown", json_text(NULL));
	json_put(document, "none", json_text(NONE));
	json_put(document, "no", json_tri(NO));
	json_put(document, "notmeasured", json_tri(UNKNOWN));
	json_put(document, "id", json_hex4(0x3));
	json_put(document, "foreign", json_text("a\xff"));
	assert_string_equal(json_print(&arena, document, false),
		"{\"schema\":\"gpuferry.inspect/1\",\"unknown\":null,\"none\":\"none\",\"no\":false,\"notmeasured\":null,"
		"\"id\":\"0003\",\"foreign\":\"a\xef\xbf\xbd\"}\n");
}

static void test_json_parse_refuses_what_it_should(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	char *deep = arena_alloc(&arena, 200);
	memset(deep, '[', 99);
	static const char *const bad[] = { "", "{", "{\"a\":1,\"a\":2}", "[1] x", "nul", "\"\xff\"" };
	json_t *document = NULL;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct err err = {0};
		assert_false(json_parse(bytes_of(bad[i]), "a file", &err, &document));
		assert_int_equal(err.kind, ERR_INPUT);
		assert_null(strchr(err.text, '\n'));
	}
	assert_false(json_parse(bytes_of(deep), "a file", NULL, &document));
	assert_true(json_parse(bytes_of("{\"a\": [\"[[\\\"[[\"]}"), "a file", NULL, &document));
	json_decref(document);
}

static void test_err_gathers_context_and_never_overflows(void **state)
{
	(void)state;
	struct err err = {0};
	char big[2000];
	memset(big, 'x', sizeof big - 1);
	big[sizeof big - 1] = '\0';
	assert_false(err_set(&err, ERR_INPUT, "%s", big));
	assert_false(err_wrap(&err, "%s", big));
	assert_true(strlen(err.text) < sizeof err.text);
	err_errno(&err, 13, "/etc/shadow");
	err_wrap(&err, "reading");
	assert_string_equal(err.text, "reading: /etc/shadow: Permission denied");
	assert_int_equal(err.kind, ERR_SYSTEM);
}

static void test_arena_push_keeps_what_was_there(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	size_t *numbers = NULL, n = 0;
	for (size_t i = 0; i < 10000; i++)
		*arena_push(&arena, numbers, n) = i;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(numbers[i], i);
	/* a big piece and small ones after it */
	char *big = arena_alloc(&arena, 1 << 20), *small = arena_alloc(&arena, 1);
	memset(big, 1, 1 << 20);
	assert_int_equal(*small, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_split_leaves_out_empty_pieces), cmocka_unit_test(test_text_line_knows_both_line_ends),
		cmocka_unit_test(test_text_matches), cmocka_unit_test(test_text_number_is_strict),
		cmocka_unit_test(test_text_sh_quoted_survives_a_real_shell),
		cmocka_unit_test(test_json_shows_no_sign_that_misleads),
		cmocka_unit_test(test_text_sh_line_joins_words),
		cmocka_unit_test(test_text_printable_leaves_no_control_behind), cmocka_unit_test(test_text_base64_is_its_own_inverse),
		cmocka_unit_test(test_text_version_compare), cmocka_unit_test(test_json_keeps_the_three_answers_apart),
		cmocka_unit_test(test_json_parse_refuses_what_it_should),
		cmocka_unit_test(test_err_gathers_context_and_never_overflows), cmocka_unit_test(test_arena_push_keeps_what_was_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
