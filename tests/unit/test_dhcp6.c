/* SPDX-License-Identifier: Apache-2.0 */
/* DHCPv6, message by message (RFC 8415): which are answered, and with what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/ip_text.h"
#include "vpc/dhcp6.h"

/* What a client writes. */
#define XID "\x11\x22\x33"
#define CLIENT "\0\1\0\x0a\0\3\0\1\2\0\0\0\1\x11"
#define SERVER "\0\2\0\x0a\0\3\0\1\2\0\0\0\1\0"
#define OTHER_SERVER "\0\2\0\x0a\0\3\0\1\2\0\0\0\1\1"
#define IA_NA "\0\3\0\x0c\1\2\3\4\0\0\0\0\0\0\0\0"
#define IA_NA_2 "\0\3\0\x0c\5\6\7\x08\0\0\0\0\0\0\0\0"
#define IA_TA "\0\4\0\4\1\2\3\4"
#define IA_PD "\0\x19\0\x0c\1\2\3\4\0\0\0\0\0\0\0\0"
#define IA_NA_WITH(address) "\0\3\0\x28\1\2\3\4\0\0\0\0\0\0\0\0" ADDRESS(address)
#define ADDRESS(address) "\0\5\0\x18\xfd\0\0\0\0\0\0\1\0\0\0\0\0\0\0" address "\0\0\0\0\0\0\0\0"
#define ORO_DNS "\0\6\0\2\0\x17"
#define RAPID "\0\x0e\0\0"

/* What the server writes: fd00:0:0:1::5, :6 for 3600, 7200 s; T1 1800, T2 2880. */
#define GIVEN(address)                                                                             \
	"\0\5\0\x18\xfd\0\0\0\0\0\0\1\0\0\0\0\0\0\0" address "\0\0\x0e\x10\0\0\x1c\x20"
#define BOUND "\0\3\0\x44\1\2\3\4\0\0\7\x08\0\0\x0b\x40" GIVEN("\5") GIVEN("\6")
#define BOUND_LOST                                                                                 \
	"\0\3\0\x60\1\2\3\4\0\0\7\x08\0\0\x0b\x40" GIVEN("\5") GIVEN("\6") ADDRESS("\x63")
#define PREFERENCE "\0\7\0\1\xff"
#define DNS "\0\x17\0\x10\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x53"
#define SUCCESS "\0\x0d\0\2\0\0"
#define NOT_ON_LINK "\0\x0d\0\x1e\0\4the port has another address"
#define NO_BINDING "\0\x0d\0\x1e\0\3the port has no such address"
#define NO_ADDRS "\0\x0d\0\x22\0\2the port has no address for this"
#define NO_PREFIX "\0\x0d\0\x1c\0\6prefixes are not delegated"
#define USE_MULTICAST "\0\x0d\0\x13\0\5send to ff02::1:2"

#define B(text) (const uint8_t *)(text), sizeof(text) - 1

static const struct row {
	const char *what; /* and the section that says so */
	const uint8_t *in;
	size_t in_len;
	enum dhcp6_verdict verdict;
	const uint8_t *out; /* of DHCP6_ANSWER */
	size_t out_len;
	bool unicast;
} rows[] = {
	/* clang-format off */
	{"solicit (18.3.1)", B("\1" XID CLIENT IA_NA ORO_DNS), DHCP6_ANSWER, B("\2" XID SERVER CLIENT PREFERENCE BOUND DNS), false},
	{"no DNS but when asked (21.7)", B("\1" XID CLIENT IA_NA), DHCP6_ANSWER, B("\2" XID SERVER CLIENT PREFERENCE BOUND), false},
	{"rapid commit (18.3.1)", B("\1" XID CLIENT RAPID IA_NA), DHCP6_ANSWER, B("\7" XID SERVER CLIENT RAPID BOUND), false},
	{"a second IA (18.3.9)", B("\1" XID CLIENT IA_NA IA_NA_2), DHCP6_ANSWER,
		B("\2" XID SERVER CLIENT PREFERENCE BOUND "\0\3\0\x32\5\6\7\x08\0\0\0\0\0\0\0\0" NO_ADDRS), false},
	{"temporary addresses, prefixes (18.3.9)", B("\1" XID CLIENT IA_TA IA_PD), DHCP6_ANSWER,
		B("\2" XID SERVER CLIENT PREFERENCE "\0\4\0\x2a\1\2\3\4" NO_ADDRS "\0\x19\0\x2c\1\2\3\4\0\0\0\0\0\0\0\0" NO_PREFIX), false},
	{"an address hinted at (18.2.1)", B("\1" XID CLIENT IA_NA_WITH("\x63")), DHCP6_ANSWER, B("\2" XID SERVER CLIENT PREFERENCE BOUND), false},
	{"request (18.3.2)", B("\3" XID CLIENT SERVER IA_NA_WITH("\5") ORO_DNS), DHCP6_ANSWER, B("\7" XID SERVER CLIENT BOUND DNS), false},
	{"request of another address (18.3.2)", B("\3" XID CLIENT SERVER IA_NA_WITH("\x63")), DHCP6_ANSWER,
		B("\7" XID SERVER CLIENT "\0\3\0\x2e\1\2\3\4\0\0\0\0\0\0\0\0" NOT_ON_LINK), false},
	{"confirm (18.3.3)", B("\4" XID CLIENT IA_NA_WITH("\6")), DHCP6_ANSWER, B("\7" XID SERVER CLIENT SUCCESS), false},
	{"confirm, elsewhere (18.3.3)", B("\4" XID CLIENT IA_NA_WITH("\x63")), DHCP6_ANSWER, B("\7" XID SERVER CLIENT NOT_ON_LINK), false},
	{"confirm of nothing (18.3.3)", B("\4" XID CLIENT IA_NA), DHCP6_SILENT, NULL, 0, false},
	{"renew (18.3.4)", B("\5" XID CLIENT SERVER IA_NA_WITH("\5")), DHCP6_ANSWER, B("\7" XID SERVER CLIENT BOUND), false},
	{"renew, address gone (18.3.4)", B("\5" XID CLIENT SERVER IA_NA_WITH("\x63")), DHCP6_ANSWER, B("\7" XID SERVER CLIENT BOUND_LOST), false},
	{"renew of a prefix (18.3.4)", B("\5" XID CLIENT SERVER IA_PD), DHCP6_ANSWER,
		B("\7" XID SERVER CLIENT "\0\x19\0\x2e\1\2\3\4\0\0\0\0\0\0\0\0" NO_BINDING), false},
	{"rebind (18.3.5)", B("\6" XID CLIENT IA_NA_WITH("\5")), DHCP6_ANSWER, B("\7" XID SERVER CLIENT BOUND), false},
	{"release (18.3.7)", B("\x08" XID CLIENT SERVER IA_NA_WITH("\5")), DHCP6_ANSWER, B("\7" XID SERVER CLIENT SUCCESS), false},
	{"release of another's (18.3.7)", B("\x08" XID CLIENT SERVER IA_NA_WITH("\x63")), DHCP6_ANSWER,
		B("\7" XID SERVER CLIENT SUCCESS "\0\3\0\x2e\1\2\3\4\0\0\0\0\0\0\0\0" NO_BINDING), false},
	{"decline (18.3.8)", B("\x09" XID CLIENT SERVER IA_NA_WITH("\5")), DHCP6_ANSWER, B("\7" XID SERVER CLIENT SUCCESS), false},
	{"information (18.3.6)", B("\x0b" XID CLIENT ORO_DNS), DHCP6_ANSWER, B("\7" XID SERVER CLIENT DNS), false},
	{"information, anonymous (18.3.6)", B("\x0b" XID ORO_DNS), DHCP6_ANSWER, B("\7" XID SERVER DNS), false},

	{"for another server (16.4)", B("\3" XID CLIENT OTHER_SERVER IA_NA), DHCP6_SILENT, NULL, 0, false},
	{"for no server (16.4)", B("\3" XID CLIENT IA_NA), DHCP6_SILENT, NULL, 0, false},
	{"renew at another server (16.6)", B("\5" XID CLIENT OTHER_SERVER IA_NA), DHCP6_SILENT, NULL, 0, false},
	{"solicit of a server (16.2)", B("\1" XID CLIENT SERVER IA_NA), DHCP6_SILENT, NULL, 0, false},
	{"solicit of nobody (16.2)", B("\1" XID IA_NA), DHCP6_SILENT, NULL, 0, false},
	{"rebind at a server (16.7)", B("\6" XID CLIENT SERVER IA_NA), DHCP6_SILENT, NULL, 0, false},
	{"information with an IA (16.12)", B("\x0b" XID CLIENT IA_NA), DHCP6_SILENT, NULL, 0, false},
	{"information of another server (16.12)", B("\x0b" XID OTHER_SERVER), DHCP6_SILENT, NULL, 0, false},

	{"request to us alone (18.4)", B("\3" XID CLIENT SERVER IA_NA), DHCP6_ANSWER, B("\7" XID SERVER CLIENT USE_MULTICAST), true},
	{"renew to us alone (18.4)", B("\5" XID CLIENT SERVER IA_NA_WITH("\5") ORO_DNS), DHCP6_ANSWER, B("\7" XID SERVER CLIENT USE_MULTICAST), true},
	{"solicit to us alone (18.4)", B("\1" XID CLIENT IA_NA), DHCP6_SILENT, NULL, 0, true},

	{"advertise", B("\2" XID CLIENT SERVER IA_NA), DHCP6_ROGUE, NULL, 0, false},
	{"reply", B("\7" XID CLIENT SERVER IA_NA), DHCP6_ROGUE, NULL, 0, false},
	{"reconfigure", B("\x0a" XID CLIENT SERVER), DHCP6_ROGUE, NULL, 0, false},
	{"relay's reply", B("\x0d\0\0"), DHCP6_MALFORMED, NULL, 0, false},
	{"relay's reply", B("\x0d\0\0\0\0\0\0"), DHCP6_ROGUE, NULL, 0, false},
	{"relayed (19)", B("\x0c\0\0\0\0\0\0"), DHCP6_RELAYED, NULL, 0, false},
	{"unknown type", B("\x0e" XID CLIENT), DHCP6_MALFORMED, NULL, 0, false},
	{"cut short", B("\1" "\x11\x22"), DHCP6_MALFORMED, NULL, 0, false},
	{"option cut short", B("\1" XID "\0\1\0\x0a\0\3\0\1\2\0\0\0\1"), DHCP6_MALFORMED, NULL, 0, false},
	{"half an option", B("\1" XID CLIENT "\0\3\0"), DHCP6_MALFORMED, NULL, 0, false},
	{"IA too short", B("\1" XID CLIENT "\0\3\0\4\1\2\3\4"), DHCP6_MALFORMED, NULL, 0, false},
	{"address too short", B("\1" XID CLIENT "\0\3\0\x14\1\2\3\4\0\0\0\0\0\0\0\0\0\5\0\4\1\2\3\4"), DHCP6_MALFORMED, NULL, 0, false},
	{"two clients", B("\1" XID CLIENT CLIENT IA_NA), DHCP6_MALFORMED, NULL, 0, false},
	{"an odd list", B("\1" XID CLIENT "\0\6\0\1\0"), DHCP6_MALFORMED, NULL, 0, false},
	/* clang-format on */
};

static struct ip_addr ip(const char *text)
{
	struct ip_addr a;

	assert_true(ip_addr_parse(text, &a));
	return a;
}

static struct dhcp6_lease lease(void)
{
	return (struct dhcp6_lease){
		.addresses = {ip("fd00:0:0:1::5"), ip("fd00:0:0:1::6")},
		.n_addresses = 2,
		.dns = {ip("fd00::53")},
		.n_dns = 1,
		.server = {{2, 0, 0, 0, 1, 0}},
		.preferred_s = 3600,
		.valid_s = 7200,
	};
}

static void each_message(void **context)
{
	struct dhcp6_lease l = lease();

	(void)context;
	for (size_t n = 0; n < sizeof(rows) / sizeof(rows[0]); n++) {
		const struct row *r = &rows[n];
		uint8_t answer[DHCP6_ANSWER_MAX];
		uint16_t len = 0;
		enum dhcp6_verdict v =
			dhcp6_answer(r->in, (uint16_t)r->in_len, r->unicast, &l, answer, &len);

		if (v != r->verdict)
			fail_msg("%s: %d", r->what, v);
		if (v != DHCP6_ANSWER)
			continue;
		if (len != r->out_len || memcmp(answer, r->out, len) != 0) {
			for (size_t i = 0; i < len; i++)
				fprintf(stderr, "%02x%s", answer[i],
					i < r->out_len && answer[i] == r->out[i] ? "" : "!");
			fail_msg("%s: %u bytes, not %zu", r->what, len, r->out_len);
		}
	}
}

/* A port without an address is told so (18.3.9, 18.3.4). */
static void no_address(void **context)
{
	static const struct row none[] = {
		{"solicit", B("\1" XID CLIENT IA_NA), DHCP6_ANSWER,
			B("\2" XID SERVER CLIENT PREFERENCE
			  "\0\3\0\x32\1\2\3\4\0\0\0\0\0\0\0\0" NO_ADDRS),
			false},
		{"renew", B("\5" XID CLIENT SERVER IA_NA_WITH("\5")), DHCP6_ANSWER,
			B("\7" XID SERVER CLIENT "\0\3\0\x2e\1\2\3\4\0\0\0\0\0\0\0\0" NO_BINDING),
			false},
	};
	struct dhcp6_lease l = lease();

	(void)context;
	l.n_addresses = 0;
	for (size_t n = 0; n < sizeof(none) / sizeof(none[0]); n++) {
		uint8_t answer[DHCP6_ANSWER_MAX];
		uint16_t len = 0;

		assert_int_equal(
			dhcp6_answer(none[n].in, (uint16_t)none[n].in_len, false, &l, answer, &len),
			DHCP6_ANSWER);
		assert_int_equal(len, none[n].out_len);
		assert_memory_equal(answer, none[n].out, len);
	}
}

/* Whatever a client writes, the answer ends within one packet: an IA full of addresses that are not the port's. */
static void nothing_overflows(void **context)
{
	static const uint8_t head[] = "\5" XID CLIENT SERVER, address[] = ADDRESS("\x63");
	uint8_t msg[1400], answer[DHCP6_ANSWER_MAX];
	struct dhcp6_lease l = lease();
	size_t len = sizeof(head) - 1 + 16;
	uint16_t answer_len = 0;

	(void)context;
	memcpy(msg, head, sizeof(head) - 1);
	while (len + sizeof(address) - 1 <= sizeof(msg)) {
		memcpy(msg + len, address, sizeof(address) - 1);
		len += sizeof(address) - 1;
	}
	memcpy(msg + sizeof(head) - 1, IA_NA, 16);
	msg[sizeof(head) - 1 + 2] = (uint8_t)((len - sizeof(head) + 1 - 4) >> 8);
	msg[sizeof(head) - 1 + 3] = (uint8_t)(len - sizeof(head) + 1 - 4);
	assert_int_equal(
		dhcp6_answer(msg, (uint16_t)len, false, &l, answer, &answer_len), DHCP6_SILENT);
	for (size_t cut = 0; cut < len; cut++) { /* and any beginning of it is safe to read */
		uint8_t *exact = test_malloc(cut + 1);

		memcpy(exact, msg, cut);
		dhcp6_answer(exact, (uint16_t)cut, false, &l, answer, &answer_len);
		test_free(exact);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_message),
		cmocka_unit_test(no_address),
		cmocka_unit_test(nothing_overflows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
