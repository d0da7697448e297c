/* SPDX-License-Identifier: Apache-2.0 */
/* The journal of the applied state: each test lets processes of its own live, die and start again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/state.h"
#include "core/state_file.h"
#include "lib/log.h"

static char path[64];
static const char *refuse;

static int prepare(const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	(void)old;
	*staged = NULL;
	if (item != NULL && refuse != NULL &&
		strcmp(json_string_value(json_array_get(item, 1)), refuse) == 0)
		return state_fail(err, -1, "refused");
	return 0;
}

STATE_KIND(vtep, .name = "vtep", .order = 1, .prepare = prepare);

static bool put(const char *name, const char *address)
{
	struct state_tx *tx = state_begin();
	json_t *item = json_pack("[s, s, s, b]", "vtep", name, address, 0);
	struct state_error err;
	uint32_t changed;
	bool ok = state_put(tx, item, &err) == 0;

	json_decref(item);
	return ok && state_commit(tx, 1000 + state_count(), &changed, &err) == 0;
}

static bool del(const char *name)
{
	struct state_tx *tx = state_begin();
	json_t *key = json_pack("[s, s]", "vtep", name);
	struct state_error err;
	uint32_t changed;
	bool ok = state_del(tx, key, &err) == 0;

	json_decref(key);
	return ok && state_commit(tx, 7, &changed, &err) == 0;
}

static uint64_t digest(void)
{
	uint64_t all = 0;

	for (unsigned int b = 0; b < 256; b++)
		all = all * 31 + state_digest(b);
	return all;
}

/* Runs `life` in a process that starts with the file and is killed at the end; what it returns. */
static int live(int (*life)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		log_set_level(LOG_LEVEL_ERROR);
		_exit(state_file_start(path) != 0 ? 99 : life());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

static int start(void **context)
{
	(void)context;
	strcpy(path, "/tmp/test_state_file.XXXXXX");
	close(mkstemp(path));
	return unlink(path);
}

static int end(void **context)
{
	char bad[80];

	(void)context;
	snprintf(bad, sizeof(bad), "%s.bad", path);
	unlink(bad);
	unlink(path);
	return 0;
}

static int count(void)
{
	return (int)state_count();
}

static int fill(void)
{
	return put("a", "192.0.2.1") && put("b", "192.0.2.2") && put("a", "192.0.2.3") &&
			       del("b") && put("c", "192.0.2.4")
		       ? (int)(digest() & 63)
		       : 98;
}

static int look(void)
{
	return state_count() == 2 && state_revision() == 1001 ? (int)(digest() & 63) : 97;
}

static void killed_process_starts_with_all(void **context)
{
	struct stat st;
	int digest_before;

	(void)context;
	assert_int_equal(live(count), 0); /* no file yet */
	digest_before = live(fill);
	assert_true(digest_before < 64);
	assert_int_equal(live(look), digest_before);
	assert_int_equal(live(look), digest_before); /* a start changes nothing */
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void append(const char *text)
{
	FILE *f = fopen(path, "a");

	fputs(text, f);
	fclose(f);
}

static void unfinished_transaction_is_not_believed(void **context)
{
	int before;

	(void)context;
	before = live(fill);
	append("[\"vtep\",\"d\",\"192.0.2.9\",false]\n-[\"vtep\",\"a\"]\n=55");
	assert_int_equal(live(look), before);
	append("garbage\n");
	assert_int_equal(live(look), before);
}

static void file_that_does_not_fit_is_set_aside(void **context)
{
	char bad[80];

	(void)context;
	live(fill);
	append("[\"vtep\",\"d\"]\n=56\n");
	assert_int_equal(live(count), 0);
	snprintf(bad, sizeof(bad), "%s.bad", path);
	assert_int_equal(access(bad, F_OK), 0);
	live(fill);
	refuse = "c";
	assert_int_equal(live(count), 0); /* all or nothing */
	refuse = NULL;
}

static int churn(void)
{
	char address[32];

	for (unsigned int n = 0; n < 12000; n++) {
		snprintf(address, sizeof(address), "10.0.%u.%u", n >> 8, n & 255);
		if (!put("a", address))
			return 98;
	}
	return 0;
}

static void journal_does_not_grow_for_ever(void **context)
{
	struct stat st;

	(void)context;
	assert_int_equal(live(churn), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_in_range(st.st_size, 1, 300000); /* 12,000 transactions would be 600 kB */
	assert_int_equal(live(count), 1);
	assert_int_equal(stat(path, &st), 0);
	assert_in_range(st.st_size, 1, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(killed_process_starts_with_all, start, end),
		cmocka_unit_test_setup_teardown(unfinished_transaction_is_not_believed, start, end),
		cmocka_unit_test_setup_teardown(file_that_does_not_fit_is_set_aside, start, end),
		cmocka_unit_test_setup_teardown(journal_does_not_grow_for_ever, start, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
