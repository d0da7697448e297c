/* SPDX-License-Identifier: Apache-2.0 */
#include "vpc/dhcp.h"

#include <stddef.h>
#include <string.h>

enum option {
	OPT_PAD = 0,
	OPT_MASK = 1,
	OPT_ROUTER = 3,
	OPT_DNS = 6,
	OPT_MTU = 26,
	OPT_REQUESTED_IP = 50,
	OPT_LEASE = 51,
	OPT_TYPE = 53,
	OPT_SERVER_ID = 54,
	OPT_MESSAGE = 56,
	OPT_T1 = 58,
	OPT_T2 = 59,
	OPT_CLIENT_ID = 61,
	OPT_RELAY_INFO = 82,
	OPT_CLASSLESS_ROUTES = 121,
	OPT_END = 255,
};

#define COOKIE RTE_BE32(0x63825363)
#define BOOTREQUEST 1
#define BOOTREPLY 2

static rte_be32_t address_of(const uint8_t *value, uint8_t len)
{
	rte_be32_t addr = 0;

	if (len == sizeof(addr))
		memcpy(&addr, value, sizeof(addr));
	return addr;
}

static void take_option(struct dhcp_request *r, uint8_t code, const uint8_t *value, uint8_t len)
{
	switch (code) {
	case OPT_TYPE:
		r->type = len == 1 ? (enum dhcp_type)value[0] : DHCP_NONE;
		break;
	case OPT_SERVER_ID:
		r->server_id = address_of(value, len);
		break;
	case OPT_REQUESTED_IP:
		r->requested_ip = address_of(value, len);
		break;
	case OPT_CLIENT_ID:
		r->client_id = value;
		r->client_id_len = len;
		break;
	case OPT_RELAY_INFO:
		r->relay_info = value;
		r->relay_info_len = len;
		break;
	}
}

bool dhcp_parse(const struct dhcp_msg *msg, uint16_t len, struct dhcp_request *request)
{
	const uint8_t *p, *end = (const uint8_t *)msg + len;

	*request = (struct dhcp_request){0};
	if (len < sizeof(*msg) || msg->op != BOOTREQUEST || msg->htype != 1 || msg->hlen != 6 ||
		msg->cookie != COOKIE)
		return false;
	for (p = msg->options; p < end && *p != OPT_END;) {
		if (*p == OPT_PAD) {
			p++;
			continue;
		}
		if (end - p < 2 || end - p < 2 + p[1])
			return false;
		take_option(request, p[0], p + 2, p[1]);
		p += 2 + p[1];
	}
	return request->type >= DHCP_DISCOVER && request->type <= DHCP_INFORM &&
	       request->type != DHCP_OFFER && request->type != DHCP_ACK &&
	       request->type != DHCP_NAK;
}

/* RFC 2131 section 4.3.2 and table 4: which of the client's states a REQUEST comes from is told by what
 * it fills in. */
static enum dhcp_type decide_request(
	const struct dhcp_msg *msg, const struct dhcp_request *r, const struct dhcp_lease *lease)
{
	rte_be32_t wanted;

	if (r->server_id != 0 && r->server_id != lease->gateway)
		return DHCP_NONE;                       /* SELECTING another server's offer */
	wanted = r->requested_ip != 0 ? r->requested_ip /* SELECTING, INIT-REBOOT */
				      : msg->ciaddr;    /* RENEWING, REBINDING */
	return wanted == lease->address ? DHCP_ACK : DHCP_NAK;
}

enum dhcp_type dhcp_decide(const struct dhcp_msg *msg, const struct dhcp_request *request,
	const struct dhcp_lease *lease)
{
	switch (request->type) {
	case DHCP_DISCOVER:
		return DHCP_OFFER;
	case DHCP_REQUEST:
		return decide_request(msg, request, lease);
	case DHCP_INFORM:
		return DHCP_ACK;
	default: /* DECLINE, RELEASE: the address stays the port's */
		return DHCP_NONE;
	}
}

static uint8_t *put(uint8_t *p, uint8_t code, const void *value, uint8_t len)
{
	p[0] = code;
	p[1] = len;
	memcpy(p + 2, value, len);
	return p + 2 + len;
}

static uint8_t *put32(uint8_t *p, uint8_t code, uint32_t host_order)
{
	rte_be32_t value = rte_cpu_to_be_32(host_order);

	return put(p, code, &value, sizeof(value));
}

/* What the client configures itself with. Times only with a lease (RFC 2131 section 4.3.5). */
static uint8_t *put_configuration(uint8_t *p, const struct dhcp_lease *lease, bool times)
{
	rte_be16_t mtu = rte_cpu_to_be_16(lease->mtu);
	uint8_t route[5] = {0}; /* 0.0.0.0/0: a mask of 0 bits, no octets of the destination */

	if (times) {
		p = put32(p, OPT_LEASE, lease->lease_s);
		p = put32(p, OPT_T1, lease->lease_s / 2);
		p = put32(p, OPT_T2, lease->lease_s / 8 * 7);
	}
	p = put(p, OPT_MASK, &lease->mask, sizeof(lease->mask));
	p = put(p, OPT_ROUTER, &lease->gateway, sizeof(lease->gateway));
	if (lease->n_dns != 0)
		p = put(p, OPT_DNS, lease->dns, (uint8_t)(lease->n_dns * sizeof(lease->dns[0])));
	p = put(p, OPT_MTU, &mtu, sizeof(mtu));
	/* Clients that know option 121 ignore the router option, so it has the default route (RFC 3442). */
	memcpy(route + 1, &lease->gateway, sizeof(lease->gateway));
	return put(p, OPT_CLASSLESS_ROUTES, route, sizeof(route));
}

static uint8_t *put_options(uint8_t *p, const struct dhcp_request *request, enum dhcp_type type,
	const struct dhcp_lease *lease)
{
	static const char wrong[] = "this port has another address";
	uint8_t code = (uint8_t)type;

	p = put(p, OPT_TYPE, &code, 1);
	p = put(p, OPT_SERVER_ID, &lease->gateway, sizeof(lease->gateway));
	if (type == DHCP_NAK)
		p = put(p, OPT_MESSAGE, wrong, sizeof(wrong) - 1);
	else
		p = put_configuration(p, lease, request->type != DHCP_INFORM);
	return p;
}

uint16_t dhcp_answer(struct dhcp_msg *msg, const struct dhcp_request *request, enum dhcp_type type,
	const struct dhcp_lease *lease)
{
	uint8_t client_id[64], relay_info[128];
	/* Longer ones than any real client's are left out rather than cut. */
	uint8_t client_id_len =
		request->client_id_len <= sizeof(client_id) ? request->client_id_len : 0;
	uint8_t relay_info_len =
		request->relay_info_len <= sizeof(relay_info) ? request->relay_info_len : 0;
	uint8_t *p = msg->options;
	size_t len;

	if (client_id_len != 0)
		memcpy(client_id, request->client_id, client_id_len);
	if (relay_info_len != 0)
		memcpy(relay_info, request->relay_info, relay_info_len);
	msg->op = BOOTREPLY;
	msg->hops = 0;
	msg->secs = 0;
	msg->siaddr = 0;
	msg->yiaddr = type == DHCP_NAK || request->type == DHCP_INFORM ? 0 : lease->address;
	if (type != DHCP_ACK)
		msg->ciaddr = 0;
	if (type == DHCP_NAK && msg->giaddr != 0)
		msg->flags |=
			DHCP_BROADCAST; /* section 4.3.2: the client may be on another subnet */
	memset(msg->sname, 0, sizeof(msg->sname) + sizeof(msg->file));
	p = put_options(p, request, type, lease);
	if (client_id_len != 0) /* RFC 6842 */
		p = put(p, OPT_CLIENT_ID, client_id, client_id_len);
	if (relay_info_len != 0) /* RFC 3046 section 2.2: last */
		p = put(p, OPT_RELAY_INFO, relay_info, relay_info_len);
	*p++ = OPT_END;
	len = (size_t)(p - (uint8_t *)msg);
	if (len < DHCP_ANSWER_MIN) {
		memset(p, 0, DHCP_ANSWER_MIN - len);
		len = DHCP_ANSWER_MIN;
	}
	return (uint16_t)len;
}

rte_be32_t dhcp_answer_to(const struct dhcp_msg *answer, enum dhcp_type type)
{
	if (answer->giaddr != 0)
		return answer->giaddr;
	if (type == DHCP_NAK)
		return UINT32_MAX;
	if (answer->ciaddr != 0)
		return answer->ciaddr;
	return answer->flags & DHCP_BROADCAST ? UINT32_MAX : answer->yiaddr;
}
