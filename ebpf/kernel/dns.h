/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * DNS questions (RFC 1035, 4.1): a tunnel shows by many different long names below one domain. Pure, as parse.h. A
 * name that goes on behind what was captured has no known domain.
 */
#ifndef EBPF_DNS_H
#define EBPF_DNS_H

#include "parse.h"

/* Bytes in front of the last two labels that no ordinary name has. */
#define DNS_LONG 30
/* The same of questions whose answers carry much: TXT, NULL. */
#define DNS_LONG_TEXT 16

struct dns_question {
	__u32 name;   /* hash of all of it */
	__u32 domain; /* of its last two labels; 0: cut */
	__u32 below;  /* bytes in front of them */
	__u16 type;
};

struct dns_labels {
	__u32 hash;         /* of the label so far */
	__u32 last, before; /* hashes of the last two labels */
	__u32 length[2];    /* theirs, with the length byte */
	__u32 left;         /* bytes to go of this label */
	__u32 text;         /* first four letters of the last label, lower case */
	bool end;
};

#define DNS_ARPA 0x61727061

PARSE_INLINE void dns_byte(struct dns_labels *l, struct dns_question *q, __u8 byte)
{
	if (l->left == 0) {
		if (byte == 0 ||
			byte > 63) { /* the root; compressed names and others are no question's */
			l->end = true;
			return;
		}
		l->before = l->last;
		l->length[1] = l->length[0];
		l->left = byte;
		l->length[0] = byte + 1;
		l->last = 2166136261U;
		l->text = 0;
		return;
	}
	l->left--;
	l->last = (l->last ^ (byte | 0x20)) * 16777619U;
	l->text = l->text << 8 | byte | 0x20;
	q->name = (q->name ^ byte) * 16777619U;
}

/* False: no question, or one that is of no interest. */
PARSE_INLINE bool dns_parse(const __u8 *frame, const struct sight_packet *p, struct dns_question *q)
{
	struct dns_labels l = {};
	__u64 offset = p->payload_offset, captured = p->captured;
	__u32 size = 0;

	*q = (struct dns_question){.name = 2166136261U};
	PARSE_OPAQUE(offset);
	if (!within(offset, 12, captured))
		return false;
	if (frame[offset + 2] & 0xf8 || load16(frame + offset + 4) != 1)
		return false;
	offset += 12;
	for (int i = 0; i < 255 && !l.end; i++) {
		PARSE_OPAQUE(offset);
		if (!within(offset, 1, captured))
			break;
		dns_byte(&l, q, frame[offset]);
		offset++;
		size++;
	}
	if (!l.end) {
		q->below = size;
		return size > 0;
	}
	PARSE_OPAQUE(offset);
	if (within(offset, 2, captured))
		q->type = load16(frame + offset);
	if (l.text == DNS_ARPA) /* reverse names are long, many and harmless */
		return false;
	q->domain = (l.last ^ l.before * 31) | 1;
	size -= l.length[0] + l.length[1] + 1;
	q->below = size < 256 ? size : 0;
	return true;
}

PARSE_INLINE bool dns_is_odd(const struct dns_question *q)
{
	if (q->type == 16 || q->type == 10)
		return q->below >= DNS_LONG_TEXT;
	return q->below >= DNS_LONG;
}

#endif
