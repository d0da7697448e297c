/* SPDX-License-Identifier: Apache-2.0 */
#include "vpc/dhcp6.h"

#include <string.h>

/* Section 7.3. */
enum message {
	SOLICIT = 1,
	ADVERTISE,
	REQUEST,
	CONFIRM,
	RENEW,
	REBIND,
	REPLY,
	RELEASE,
	DECLINE,
	RECONFIGURE,
	INFORMATION_REQUEST,
	RELAY_FORW,
	RELAY_REPL,
};

/* Section 21; RFC 3646. */
enum option {
	OPT_CLIENT_ID = 1,
	OPT_SERVER_ID = 2,
	OPT_IA_NA = 3,
	OPT_IA_TA = 4,
	OPT_IA_ADDR = 5,
	OPT_REQUEST = 6,
	OPT_PREFERENCE = 7,
	OPT_STATUS = 13,
	OPT_RAPID_COMMIT = 14,
	OPT_DNS = 23,
	OPT_IA_PD = 25,
};

enum status {
	STATUS_SUCCESS,
	STATUS_NO_ADDRS = 2,
	STATUS_NO_BINDING,
	STATUS_NOT_ON_LINK,
	STATUS_USE_MULTICAST,
	STATUS_NO_PREFIX,
};

#define HEADER 4       /* type, transaction id */
#define OPTION 4       /* code, length */
#define IA_HEADER 12   /* IAID, T1, T2 */
#define IA_ADDR_MIN 24 /* address, lifetimes */
#define DUID_MAX 130   /* section 11.1: 128 and the type */
#define DUID_LL 10     /* type, hardware type, MAC */
#define IAS_MAX 8

struct bytes {
	const uint8_t *at;
	uint16_t len;
};

struct ia {
	uint16_t code;
	struct bytes value; /* from the IAID on */
};

struct request {
	enum message type;
	struct bytes client_id, server_id; /* at NULL: not given */
	struct ia ias[IAS_MAX];
	unsigned int n_ias;
	bool rapid_commit, wants_dns;
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void set16(uint8_t *p, uint16_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static void set32(uint8_t *p, uint32_t value)
{
	set16(p, (uint16_t)(value >> 16));
	set16(p + 2, (uint16_t)value);
}

/* Takes the next option off `rest`. False: nothing left, or cut short (then rest->len is not 0). */
static bool next_option(struct bytes *rest, uint16_t *code, struct bytes *value)
{
	uint16_t len;

	if (rest->len < OPTION || (len = get16(rest->at + 2)) > rest->len - OPTION)
		return false;
	*code = get16(rest->at);
	*value = (struct bytes){rest->at + OPTION, len};
	rest->at += OPTION + len;
	rest->len = (uint16_t)(rest->len - OPTION - len);
	return true;
}

static uint16_t ia_header(uint16_t code)
{
	return code == OPT_IA_TA ? 4 : IA_HEADER;
}

/* What an IA holds: options, of which addresses have a length of their own. */
static bool ia_ok(const struct ia *ia)
{
	uint16_t header = ia_header(ia->code), code;
	struct bytes rest, value;

	if (ia->value.len < header)
		return false;
	rest = (struct bytes){ia->value.at + header, (uint16_t)(ia->value.len - header)};
	while (next_option(&rest, &code, &value))
		if (code == OPT_IA_ADDR && value.len < IA_ADDR_MIN)
			return false;
	return rest.len == 0;
}

static bool take_duid(struct bytes *to, struct bytes value)
{
	if (to->at != NULL || value.len < 3 || value.len > DUID_MAX)
		return false;
	*to = value;
	return true;
}

static bool take_option(struct request *r, uint16_t code, struct bytes value)
{
	switch (code) {
	case OPT_CLIENT_ID:
		return take_duid(&r->client_id, value);
	case OPT_SERVER_ID:
		return take_duid(&r->server_id, value);
	case OPT_IA_NA:
	case OPT_IA_TA:
	case OPT_IA_PD:
		if (r->n_ias == IAS_MAX)
			return true; /* nobody has so many interfaces behind one port */
		r->ias[r->n_ias] = (struct ia){code, value};
		return ia_ok(&r->ias[r->n_ias++]);
	case OPT_REQUEST:
		for (uint16_t at = 0; at + 2 <= value.len; at = (uint16_t)(at + 2))
			r->wants_dns |= get16(value.at + at) == OPT_DNS;
		return value.len % 2 == 0;
	case OPT_RAPID_COMMIT:
		r->rapid_commit = true;
		return value.len == 0;
	default:
		return true;
	}
}

static bool parse(const uint8_t *msg, uint16_t len, struct request *r)
{
	struct bytes rest = {msg + HEADER, (uint16_t)(len - HEADER)}, value;
	uint16_t code;

	*r = (struct request){.type = (enum message)msg[0]};
	while (next_option(&rest, &code, &value))
		if (!take_option(r, code, value))
			return false;
	return rest.len == 0;
}

static void write_duid(uint8_t duid[DUID_LL], const struct dhcp6_lease *lease)
{
	set16(duid, 3);     /* DUID-LL: the gateway's MAC is the same on all nodes, and stays */
	set16(duid + 2, 1); /* Ethernet */
	memcpy(duid + 4, &lease->server, RTE_ETHER_ADDR_LEN);
}

/* Section 16: which messages are a server's to hear. */
static enum dhcp6_verdict judge(const struct request *r, const struct dhcp6_lease *lease)
{
	uint8_t duid[DUID_LL];
	bool ours;

	write_duid(duid, lease);
	ours = r->server_id.len == DUID_LL && memcmp(r->server_id.at, duid, DUID_LL) == 0;
	switch (r->type) {
	case SOLICIT:
	case CONFIRM:
	case REBIND:
		return r->client_id.at != NULL && r->server_id.at == NULL ? DHCP6_ANSWER
									  : DHCP6_SILENT;
	case REQUEST:
	case RENEW:
	case RELEASE:
	case DECLINE:
		return r->client_id.at != NULL && ours ? DHCP6_ANSWER : DHCP6_SILENT;
	case INFORMATION_REQUEST:
		return r->n_ias == 0 && (ours || r->server_id.at == NULL) ? DHCP6_ANSWER
									  : DHCP6_SILENT;
	case ADVERTISE:
	case REPLY:
	case RECONFIGURE:
	case RELAY_REPL:
		return DHCP6_ROGUE;
	case RELAY_FORW:
		return DHCP6_RELAYED;
	}
	return DHCP6_MALFORMED;
}

/*
 * The answer.
 */

struct writer {
	uint8_t *buf;
	uint16_t len;
	bool full;
};

static void put(struct writer *w, const void *bytes, uint16_t len)
{
	if (w->full || len > DHCP6_ANSWER_MAX - w->len) {
		w->full = true;
		return;
	}
	if (len == 0)
		return;
	memcpy(w->buf + w->len, bytes, len);
	w->len = (uint16_t)(w->len + len);
}

static void put_option(struct writer *w, uint16_t code, const void *value, uint16_t len)
{
	uint8_t head[OPTION];

	set16(head, code);
	set16(head + 2, len);
	put(w, head, sizeof(head));
	put(w, value, len);
}

/* An option whose length is known when its content is written. */
static uint16_t open_option(struct writer *w, uint16_t code)
{
	put_option(w, code, NULL, 0);
	return w->len;
}

static void close_option(struct writer *w, uint16_t begin)
{
	if (!w->full)
		set16(w->buf + begin - 2, (uint16_t)(w->len - begin));
}

static void put_status(struct writer *w, enum status status)
{
	static const char *const texts[] = {
		[STATUS_SUCCESS] = "",
		[STATUS_NO_ADDRS] = "the port has no address for this",
		[STATUS_NO_BINDING] = "the port has no such address",
		[STATUS_NOT_ON_LINK] = "the port has another address",
		[STATUS_USE_MULTICAST] = "send to ff02::1:2",
		[STATUS_NO_PREFIX] = "prefixes are not delegated",
	};
	uint16_t begin = open_option(w, OPT_STATUS);
	uint8_t code[2];

	set16(code, (uint16_t)status);
	put(w, code, sizeof(code));
	put(w, texts[status], (uint16_t)strlen(texts[status]));
	close_option(w, begin);
}

static void put_address(
	struct writer *w, const struct ip_addr *addr, uint32_t preferred_s, uint32_t valid_s)
{
	uint8_t value[IA_ADDR_MIN];

	memcpy(value, addr->bytes, 16);
	set32(value + 16, preferred_s);
	set32(value + 20, valid_s);
	put_option(w, OPT_IA_ADDR, value, sizeof(value));
}

static bool has(const struct dhcp6_lease *lease, const uint8_t *address)
{
	for (unsigned int n = 0; n < lease->n_addresses; n++)
		if (memcmp(lease->addresses[n].bytes, address, 16) == 0)
			return true;
	return false;
}

/* The next address that a client names in an IA; NULL: no more. */
static const uint8_t *next_address(struct bytes *rest)
{
	struct bytes value;
	uint16_t code;

	while (next_option(rest, &code, &value))
		if (code == OPT_IA_ADDR)
			return value.at;
	return NULL;
}

static struct bytes ia_options(const struct ia *ia)
{
	uint16_t header = ia_header(ia->code);

	return (struct bytes){ia->value.at + header, (uint16_t)(ia->value.len - header)};
}

/* Opens the IA of an answer: its IAID and, when it holds addresses, when to renew them. */
static uint16_t open_ia(
	struct writer *w, const struct ia *ia, const struct dhcp6_lease *lease, bool addresses)
{
	uint16_t begin = open_option(w, ia->code);
	uint8_t header[IA_HEADER] = {0};

	memcpy(header, ia->value.at, 4);
	if (addresses) { /* section 21.4 */
		set32(header + 4, lease->preferred_s / 2);
		set32(header + 8, lease->preferred_s / 5 * 4);
	}
	put(w, header, ia_header(ia->code));
	return begin;
}

static void put_ia_status(
	struct writer *w, const struct ia *ia, const struct dhcp6_lease *lease, enum status status)
{
	uint16_t begin = open_ia(w, ia, lease, false);

	put_status(w, status);
	close_option(w, begin);
}

/* The port's addresses, to its first IA_NA. `tell_lost`: those the client has and the port has not are given no more
 * life (sections 18.3.4, 18.3.5). */
static void put_binding(
	struct writer *w, const struct ia *ia, const struct dhcp6_lease *lease, bool tell_lost)
{
	uint16_t begin = open_ia(w, ia, lease, true);
	struct bytes rest = ia_options(ia);
	const uint8_t *addr;

	for (unsigned int n = 0; n < lease->n_addresses; n++)
		put_address(w, &lease->addresses[n], lease->preferred_s, lease->valid_s);
	while (tell_lost && (addr = next_address(&rest)) != NULL) {
		struct ip_addr lost = ip_addr_from_v6(addr);

		if (!has(lease, addr))
			put_address(w, &lost, 0, 0);
	}
	close_option(w, begin);
}

static bool names_others(const struct ia *ia, const struct dhcp6_lease *lease)
{
	struct bytes rest = ia_options(ia);
	const uint8_t *addr;

	while ((addr = next_address(&rest)) != NULL)
		if (!has(lease, addr))
			return true;
	return false;
}

/* SOLICIT, REQUEST, RENEW, REBIND: each IA gets what there is for it. */
static void put_ias(struct writer *w, const struct request *r, const struct dhcp6_lease *lease)
{
	bool known = r->type == RENEW || r->type == REBIND, given = false;

	for (unsigned int n = 0; n < r->n_ias; n++) {
		const struct ia *ia = &r->ias[n];

		if (ia->code == OPT_IA_PD) {
			put_ia_status(w, ia, lease, known ? STATUS_NO_BINDING : STATUS_NO_PREFIX);
		} else if (ia->code == OPT_IA_TA || given || lease->n_addresses == 0) {
			put_ia_status(w, ia, lease, known ? STATUS_NO_BINDING : STATUS_NO_ADDRS);
		} else if (r->type == REQUEST && names_others(ia, lease)) { /* section 18.3.2 */
			put_ia_status(w, ia, lease, STATUS_NOT_ON_LINK);
		} else {
			put_binding(w, ia, lease, known);
			given = true;
		}
	}
}

/* Section 18.3.3: has the client come to where its addresses are right? False: it names none. */
static bool put_confirmation(
	struct writer *w, const struct request *r, const struct dhcp6_lease *lease)
{
	enum status status = STATUS_SUCCESS;
	bool any = false;

	for (unsigned int n = 0; n < r->n_ias; n++) {
		struct bytes rest = ia_options(&r->ias[n]);
		const uint8_t *addr;

		while (r->ias[n].code != OPT_IA_PD && (addr = next_address(&rest)) != NULL) {
			any = true;
			if (!has(lease, addr))
				status = STATUS_NOT_ON_LINK;
		}
	}
	put_status(w, status);
	return any;
}

/* RELEASE, DECLINE: the address stays the port's; what it never had is told (sections 18.3.7, 18.3.8). */
static void put_farewell(struct writer *w, const struct request *r, const struct dhcp6_lease *lease)
{
	put_status(w, STATUS_SUCCESS);
	for (unsigned int n = 0; n < r->n_ias; n++) {
		if (r->ias[n].code != OPT_IA_NA || names_others(&r->ias[n], lease))
			put_ia_status(w, &r->ias[n], lease, STATUS_NO_BINDING);
	}
}

static void put_dns(struct writer *w, const struct dhcp6_lease *lease)
{
	uint16_t begin;

	if (lease->n_dns == 0)
		return;
	begin = open_option(w, OPT_DNS);
	for (unsigned int n = 0; n < lease->n_dns; n++)
		put(w, lease->dns[n].bytes, 16);
	close_option(w, begin);
}

/* What the type asks for. False: it is better not answered. */
static bool put_content(struct writer *w, const struct request *r, const struct dhcp6_lease *lease)
{
	static const uint8_t at_once = 255; /* section 18.2.1: no need to wait for others */

	switch (r->type) {
	case SOLICIT:
		if (r->rapid_commit)
			put_option(w, OPT_RAPID_COMMIT, NULL, 0);
		else
			put_option(w, OPT_PREFERENCE, &at_once, 1);
		put_ias(w, r, lease);
		return true;
	case REQUEST:
	case RENEW:
	case REBIND:
		put_ias(w, r, lease);
		return true;
	case CONFIRM:
		return put_confirmation(w, r, lease);
	case RELEASE:
	case DECLINE:
		put_farewell(w, r, lease);
		return true;
	default:
		return true;
	}
}

static void put_head(struct writer *w, const uint8_t *msg, const struct request *r,
	const struct dhcp6_lease *lease)
{
	bool offer = r->type == SOLICIT && !r->rapid_commit;
	uint8_t duid[DUID_LL], head[HEADER] = {offer ? ADVERTISE : REPLY, msg[1], msg[2], msg[3]};

	write_duid(duid, lease);
	put(w, head, sizeof(head));
	put_option(w, OPT_SERVER_ID, duid, sizeof(duid));
	if (r->client_id.at != NULL)
		put_option(w, OPT_CLIENT_ID, r->client_id.at, r->client_id.len);
}

/* Section 18.4: told to whom it concerns, others that were sent to one server alone are not heard. */
static bool may_be_told(const struct request *r)
{
	return r->type == REQUEST || r->type == RENEW || r->type == RELEASE || r->type == DECLINE;
}

enum dhcp6_verdict dhcp6_answer(const uint8_t *msg, uint16_t len, bool unicast,
	const struct dhcp6_lease *lease, uint8_t answer[DHCP6_ANSWER_MAX], uint16_t *answer_len)
{
	struct writer w = {.buf = answer};
	enum dhcp6_verdict verdict;
	struct request r;

	if (len < HEADER)
		return DHCP6_MALFORMED;
	r = (struct request){.type = (enum message)msg[0]};
	if (r.type == RELAY_FORW || r.type == RELAY_REPL) /* they have another header */
		return judge(&r, lease);
	if (!parse(msg, len, &r))
		return DHCP6_MALFORMED;
	verdict = judge(&r, lease);
	if (verdict != DHCP6_ANSWER || (unicast && !may_be_told(&r)))
		return verdict == DHCP6_ANSWER ? DHCP6_SILENT : verdict;
	put_head(&w, msg, &r, lease);
	if (unicast)
		put_status(&w, STATUS_USE_MULTICAST);
	else if (!put_content(&w, &r, lease))
		return DHCP6_SILENT;
	if (!unicast && r.wants_dns && r.type != CONFIRM)
		put_dns(&w, lease);
	*answer_len = w.len;
	return w.full ? DHCP6_SILENT : DHCP6_ANSWER;
}
