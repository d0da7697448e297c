/* SPDX-License-Identifier: Apache-2.0 */
/* What the host's kernel has bound, as /proc/net says it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/ip_text.h"
#include "nat/nat_kernel.h"

static const struct {
	const char *line, *address; /* address NULL: no such line */
	uint16_t port;
} lines[] = {
	{"   0: 0100007F:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000", "127.0.0.1",
		53},
	{"  12: 00000000:0016 00000000:0000 0A 00000000:00000000", "0.0.0.0", 22},
	{"1234: 327100CB:12B5 00000000:0000 07", "203.0.113.50", 4789},
	{"   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000",
		"::", 22},
	{"   1: B80D0120000000000000000050000000:01BB 00000000000000000000000000000000:0000",
		"2001:db8::50", 443},
	{"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt", NULL, 0},
	{"", NULL, 0},
	{"   0: 0100007F", NULL, 0},
	{"   0: 0100007F0100007F:0035 ", NULL, 0},
};

static void test_lines(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct ip_addr address;
		char text[NET_ADDR_TEXT];
		uint16_t port;
		bool ok = nat_kernel_parse(lines[i].line, &address, &port);

		assert_int_equal(ok, lines[i].address != NULL);
		if (!ok)
			continue;
		assert_string_equal(ip_addr_format(&address, text), lines[i].address);
		assert_int_equal(port, lines[i].port);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
