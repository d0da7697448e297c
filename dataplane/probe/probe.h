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

struct event_base;

/* Begins, if there is an underlay. 0 or -errno, logged. */
int probe_start(struct event_base *base);
void probe_stop(void);

/* What a worker hands to the control thread: an answer. */
struct probe_report {
	uint64_t nonce;
	uint64_t rtt_tsc;
};
/* Worker-safe: is it the answer to what the VTEP was asked last? True once. */
bool probe_take(uint32_t vtep_index, uint64_t nonce);

#endif
