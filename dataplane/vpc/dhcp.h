/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VPC_DHCP_H
#define VPC_DHCP_H
/* DHCPv4 messages (RFC 2131, options of RFC 2132, 3442, 6842): a client's message and the lease it may
 * have become the server's answer. Pure: no tables, no frames.
 */
#include <stdbool.h>
#include <stdint.h>

#include <rte_byteorder.h>

enum dhcp_type {
	DHCP_NONE,
	DHCP_DISCOVER,
	DHCP_OFFER,
	DHCP_REQUEST,
	DHCP_DECLINE,
	DHCP_ACK,
	DHCP_NAK,
	DHCP_RELEASE,
	DHCP_INFORM,
};

/* RFC 2131 section 2, figure 1. */
struct dhcp_msg {
	uint8_t op, htype, hlen, hops;
	rte_be32_t xid;
	rte_be16_t secs, flags;
	rte_be32_t ciaddr, yiaddr, siaddr, giaddr;
	uint8_t chaddr[16];
	uint8_t sname[64];
	uint8_t file[128];
	rte_be32_t cookie;
	uint8_t options[];
} __attribute__((packed));

#define DHCP_BROADCAST RTE_BE16(0x8000)
/* What an answer takes at most, and what RFC 1542 section 2.1 wants it to have at least. */
#define DHCP_ANSWER_MAX 548u
#define DHCP_ANSWER_MIN 300u

/* The one lease a port has: its configured address. */
struct dhcp_lease {
	rte_be32_t address, mask, gateway; /* the gateway is the server, too */
	rte_be32_t dns[8];
	uint8_t n_dns;
	uint16_t mtu;
	uint32_t lease_s;
};

/* What a client said. */
struct dhcp_request {
	enum dhcp_type type;
	rte_be32_t server_id;      /* 0: not given */
	rte_be32_t requested_ip;   /* 0: not given */
	uint8_t client_id_len;     /* 0: not given */
	const uint8_t *client_id;  /* in the message */
	const uint8_t *relay_info; /* option 82, in the message */
	uint8_t relay_info_len;
};

/* False: no well-formed DHCP message of a client (BOOTP without a type included). */
bool dhcp_parse(const struct dhcp_msg *msg, uint16_t len, struct dhcp_request *request);

/* What the server says to it: OFFER, ACK, NAK, or NONE (nothing). */
enum dhcp_type dhcp_decide(const struct dhcp_msg *msg, const struct dhcp_request *request,
	const struct dhcp_lease *lease);

/* Turns the message into that answer in place; room: DHCP_ANSWER_MAX bytes. Returns its length. */
uint16_t dhcp_answer(struct dhcp_msg *msg, const struct dhcp_request *request, enum dhcp_type type,
	const struct dhcp_lease *lease);

/* Address the answer is sent to (section 4.1); 255.255.255.255 for broadcast. To giaddr the port is 67. */
rte_be32_t dhcp_answer_to(const struct dhcp_msg *answer, enum dhcp_type type);

#endif
