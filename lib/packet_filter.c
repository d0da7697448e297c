/* SPDX-License-Identifier: Apache-2.0 */
#include "packet_filter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <pcap/pcap.h>
/* Needs the former. */
#include <pcap/namedb.h>

/* What a filter may look at: the largest frame there is. */
#define SNAPLEN 65535

struct packet_filter {
	struct bpf_program program;
};

/* libpcap's own, which ask name servers and wait for them; these stand in front of them. */
struct addrinfo *pcap_nametoaddrinfo(const char *name)
{
	(void)name;
	return NULL;
}

bpf_u_int32 pcap_nametonetaddr(const char *name)
{
	(void)name;
	return 0;
}

int packet_filter_new(
	const char *expression, struct packet_filter **filter, char *reason, size_t size)
{
	struct packet_filter *f;
	pcap_t *pcap;
	int rc;

	*filter = NULL;
	if (expression == NULL || expression[0] == '\0')
		return 0;
	f = calloc(1, sizeof(*f));
	pcap = pcap_open_dead(DLT_EN10MB, SNAPLEN);
	if (f == NULL || pcap == NULL) {
		free(f);
		if (pcap != NULL)
			pcap_close(pcap);
		snprintf(reason, size, "out of memory");
		return -ENOMEM;
	}
	rc = pcap_compile(pcap, &f->program, expression, 1, PCAP_NETMASK_UNKNOWN);
	if (rc != 0) {
		snprintf(reason, size, "%s", pcap_geterr(pcap));
		free(f);
	} else {
		*filter = f;
	}
	pcap_close(pcap);
	return rc != 0 ? -EINVAL : 0;
}

void packet_filter_free(struct packet_filter *filter)
{
	if (filter == NULL)
		return;
	pcap_freecode(&filter->program);
	free(filter);
}

bool packet_filter_match(
	const struct packet_filter *filter, const uint8_t *frame, uint32_t len, uint32_t room)
{
	return filter == NULL || bpf_filter(filter->program.bf_insns, frame, len, room) != 0;
}
