/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FLOW_LOG_IPFIX_H
#define FLOW_LOG_IPFIX_H
/* Flow records as IPFIX messages (RFC 7011), with biflows (RFC 5103) and NAT events (RFC 8158). Pure.
 *
 * One writer a transport session. Only information elements of IANA's registry are used, and their reverse ones. Behind the templates
 * the writer tells by options which flows are in it (RFC 7014) and how many records were lost (RFC 7011 section 4.3).
 *
 *	ipfix_begin(&w, buf, size);
 *	while (ipfix_add_templates(&w))              // false: the rest did not fit, in another message
 *	ipfix_add(&w, &record, 0);                   // false: full
 *	len = ipfix_end(&w, time(NULL));
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow_log/flow_record.h"

/* A message that no path of a data centre has to cut. */
#define IPFIX_MESSAGE_MAX 1400u

struct ipfix_writer {
	/* Of the transport session; set once. */
	uint32_t domain; /* observation domain */
	bool biflow;     /* flows with packets of both sides in one record */
	/* What options say. */
	uint32_t process; /* the exporting one */
	uint32_t sample;  /* one flow in so many */
	uint64_t sent, lost;
	/* Data records sent in it so far, options' among them (RFC 7011 section 3.1); the next template, of all. */
	uint32_t sequence;
	unsigned int next_template;
	/* The message under way. */
	uint8_t *buf;
	size_t size, len, set_at;
	uint16_t set_id;
	uint32_t records;
};

/* Templates are told from the first one on, again. */
void ipfix_restart_templates(struct ipfix_writer *w);
void ipfix_begin(struct ipfix_writer *w, uint8_t *buf, size_t size);
/* Templates and options that were not told yet, as many as fit. False: there are more. */
bool ipfix_add_templates(struct ipfix_writer *w);
/* A direction of a flow, or, with `biflow` and packets of both sides, both of them: then with direction 0 only. An event:
 * direction 0. False: it does not fit. */
bool ipfix_add(struct ipfix_writer *w, const struct flow_record *r, unsigned int direction);
/* Its length; 0: it is empty. */
size_t ipfix_end(struct ipfix_writer *w, uint32_t time_s);

#endif
