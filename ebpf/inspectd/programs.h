/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs and their maps: loaded into this kernel, maps pinned below the configured directory, so that a later
 * vpc-inspectd finds the tables as they are. What the kernel lacks is said in the log.
 */
#ifndef INSPECTD_PROGRAMS_H
#define INSPECTD_PROGRAMS_H

#include <stdint.h>

#include "config.h"
#include "sight.h"

#define PROGRAMS_PIN 2048

struct bpf_object;

struct programs {
	struct bpf_object *object;
	char pin[PROGRAMS_PIN];                      /* where everything is pinned */
	volatile struct sight_state *state;          /* mapped, shared with the programs */
	const volatile struct sight_record *records; /* … */
};

/* 0 or -errno, logged. */
int programs_load(struct programs *p, const struct inspectd_config *config);
/* Pinned maps, and programs attached to interfaces, stay. */
void programs_unload(struct programs *p);

/* File descriptors by name; they live as long as the programs. */
int programs_map(const struct programs *p, const char *name);
int programs_program(const struct programs *p, const char *name);

/* Sum over the CPUs. */
uint64_t programs_counter(const struct programs *p, enum sight_counter counter);
/* The programs' clock. */
uint64_t programs_now_ns(void);

#endif
