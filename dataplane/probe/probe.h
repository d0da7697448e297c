/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROBE_PROBE_H
#define PROBE_PROBE_H
/* Probes of the tunnels to all VTEPs: does the other one answer, after how long, and how large may a packet be?
 *
 * The control thread sends; a worker turns a request that arrives into its answer, and takes in the answers to our own:
 * only one that comes from the VTEP that was asked and brings back the number that was sent, once. What that says
 * (probe_path.h) is in the node's status, and told as events `tunnel_down`, `tunnel_up`, `mtu_too_small`, `mtu_sufficient`.
 */
#include <stdbool.h>
#include <stdint.h>

#include "core/control.h"

struct event_base;

/* Begins, if there is an underlay. 0 or -errno, logged. */
int probe_start(struct event_base *base);
void probe_stop(void);

/* What a worker hands to the control thread: an answer. */
struct probe_report {
	uint64_t nonce;
	uint64_t rtt_tsc;
};
/* Other things that our dataplanes say to each other with VNI 0: frames that `is` theirs go to the control thread. `is` looks at
 * the first `len` bytes; workers. */
struct probe_talk {
	bool (*is)(const uint8_t *frame, uint32_t len);
	enum control_kind kind;
	struct probe_talk *next;
};
void probe_talk_register(struct probe_talk *talk);
#define PROBE_TALK(var, fn, control)                                                               \
	static struct probe_talk var = {.is = (fn), .kind = (control)};                            \
	__attribute__((constructor)) static void var##_register(void)                              \
	{                                                                                          \
		probe_talk_register(&var);                                                         \
	}

/* Worker-safe: is it the answer to what the VTEP was asked last? True once. */
bool probe_take(uint32_t vtep_index, uint64_t nonce);

#endif
