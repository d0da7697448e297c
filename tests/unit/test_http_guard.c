/* SPDX-License-Identifier: Apache-2.0 */
/* Who may use the controller's HTTP server: names in Host, tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "controller/http_guard.h"

static void hosts(void **state)
{
	static const struct {
		const char *host, *listen;
		bool ours;
	} cases[] = {
		{"127.0.0.1:9470", "127.0.0.1", true},
		{"127.0.0.1", "127.0.0.1", true},
		{"127.9.9.9", "127.0.0.1", true},
		{"localhost:9470", "127.0.0.1", true},
		{"LocalHost", "127.0.0.1", true},
		{"[::1]:9470", "::1", true},
		{"[::1]", "127.0.0.1", true},
		{"192.0.2.1:80", "192.0.2.1", true},
		{"192.0.2.2:80", "192.0.2.1", false},
		{"[2001:db8::1]:80", "2001:db8:0::1", true},
		{"192.0.2.1", "0.0.0.0", true},
		{"[2001:db8::1]", "::", true},
		{"evil.example", "0.0.0.0", false},
		{"evil.example", "127.0.0.1", false},
		{"evil.example:9470", "127.0.0.1", false},
		{"localhost.evil.example", "127.0.0.1", false},
		{"127.0.0.1.evil.example", "127.0.0.1", false},
		{"api.cloud.example:80", "api.cloud.example", true},
		{"", "127.0.0.1", false},
		{":9470", "127.0.0.1", false},
		{"[::1", "::1", false},
		{"[::1]x", "::1", false},
		{NULL, "127.0.0.1", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (http_host_is_ours(cases[i].host, cases[i].listen) != cases[i].ours)
			fail_msg("Host %s at %s", cases[i].host, cases[i].listen);
}

static void load(struct http_tokens **tokens, const char *text, int want)
{
	char path[] = "/tmp/vpct-tokens-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_true(dprintf(fd, "%s", text) >= 0);
	close(fd);
	assert_int_equal(http_tokens_load(tokens, path) == 0, want == 0);
	unlink(path);
}

static void tokens_are_compared_whole(void **state)
{
	static const char *const wrong[] = {"Bearer ", "Bearer first-toke", "Bearer first-token1",
		"Bearer irst-token", "Bearer FIRST-TOKEN", "Bearer  first-token", "first-token",
		"Basic first-token", "Bearer alice", ""};
	struct http_tokens *tokens;
	char name[64] = "";

	(void)state;
	load(&tokens, "# who\n\nalice first-token\n bob\tsecond-token  \n", 0);
	assert_true(http_tokens_check(tokens, "Bearer first-token", name, sizeof(name)));
	assert_string_equal(name, "alice");
	assert_true(http_tokens_check(tokens, "bearer second-token", name, sizeof(name)));
	assert_string_equal(name, "bob");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (http_tokens_check(tokens, wrong[i], name, sizeof(name)))
			fail_msg("`%s` is taken", wrong[i]);
	http_tokens_free(tokens);
}

static void token_files_are_strict(void **state)
{
	struct http_tokens *tokens;

	(void)state;
	load(&tokens, "alice short\n", -1);
	http_tokens_free(tokens);
	load(&tokens, "alice\n", -1);
	http_tokens_free(tokens);
	load(&tokens, "alice first-token more\n", -1);
	http_tokens_free(tokens);
	assert_int_equal(http_tokens_load(&tokens, NULL), 0);
	assert_false(http_tokens_check(tokens, "Bearer anything", (char[8]){0}, 8));
	http_tokens_free(tokens);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts),
		cmocka_unit_test(tokens_are_compared_whole),
		cmocka_unit_test(token_files_are_strict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
