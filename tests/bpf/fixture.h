/* SPDX-License-Identifier: Apache-2.0 */
/* The programs, loaded without pins and with a clock that tests set; packets go through bpf_prog_test_run. */
#ifndef TESTS_BPF_FIXTURE_H
#define TESTS_BPF_FIXTURE_H

#include <stdbool.h>

#include "frame.h"
#include "sight.h"

#define FIXTURE_VNI 4711
#define FIXTURE_EVENTS 256

enum fixture_entry { FEED_XDP, FEED_TC, PORT_XDP, PORT_TC_IN, PORT_TC_OUT };

struct ring_buffer;
struct inspect_bpf;

struct fixture {
	struct inspect_bpf *skeleton;
	struct ring_buffer *ring;
	struct sight_state *state;                 /* mapped */
	struct sight_record *records;              /* mapped */
	struct sight_event events[FIXTURE_EVENTS]; /* since fixture_reset() or fixture_events() */
	unsigned event_count;
	struct frame_feed feed; /* of fixture_send() */
};

/*
 * cmocka's group setup and teardown. Where programs cannot be loaded at all, for want of privileges, the process ends
 * as skipped (77) with the reason.
 */
int fixture_setup(void **state);
int fixture_teardown(void **state);
/* Empties the tables, the only VPC has these detectors (a mask of 1 << enum sight_detector) at their defaults. */
void fixture_reset(struct fixture *f, unsigned detectors);
void fixture_rule(struct fixture *f, unsigned detector, unsigned threshold, unsigned window_s);
struct sight_vpc fixture_vpc(struct fixture *f);
void fixture_set_vpc(struct fixture *f, const struct sight_vpc *vpc);
void fixture_set_interface(
	struct fixture *f, uint32_t ifindex, const struct sight_interface *interface);
/* Map of that name. */
int fixture_map(struct fixture *f, const char *name);

/* Runs one program over the frame as it is. Returns its verdict. */
int fixture_run(struct fixture *f, enum fixture_entry entry, const struct frame *frame);
/* Makes a frame and feeds it as f->feed says. */
void fixture_send(struct fixture *f, const struct frame_spec *spec);
void fixture_pass(struct fixture *f, unsigned ms);
/* The newest packet. */
const struct sight_record *fixture_last(struct fixture *f);
uint64_t fixture_counter(struct fixture *f, enum sight_counter counter);
/* Takes events from the ring: how many of a detector since the last reset. */
unsigned fixture_events(struct fixture *f, unsigned detector);

bool fixture_is(const union sight_addr *address, const char *text);

#endif
