/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_USAGE_H
#define CORE_USAGE_H
/* What objects have carried, for bills. The node only counts; the controller adds up over restarts and moves.
 *
 * Each life of an object's counters has an *instance*, a random number. As long as the node reports an instance its
 * figures only rise. When the object goes, its last figures stay listed until the controller says that they are
 * stored, so that none is lost and none counts twice. usage_file.c keeps the figures over a restart.
 *
 * A capability whose objects carry traffic registers a source, takes an instance for each object, and calls
 * usage_ending() and usage_ended() when it goes. Control thread.
 */
#include <stddef.h>
#include <stdint.h>

#define USAGE_KIND_MAX 24
#define USAGE_NAME_MAX 64

struct usage_figures { /* IP bytes; rx: what the object's owner sent, tx: what it was given */
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
};

struct usage_entry {
	char kind[USAGE_KIND_MAX]; /* as the API calls it, zero padded like the name */
	char name[USAGE_NAME_MAX];
	uint64_t instance;
	uint64_t revision; /* of the object, at its last change: tells it from others of its name */
	struct usage_figures figures;
};

typedef void (*usage_fn)(const struct usage_entry *entry, void *arg);

struct usage_source {
	void (*each)(usage_fn fn, void *arg); /* all live objects */
	struct usage_source *next;
};
void usage_source_register(struct usage_source *source);
#define USAGE_SOURCE(var, fn)                                                                      \
	static struct usage_source var = {.each = (fn)};                                           \
	__attribute__((constructor)) static void var##_register(void)                              \
	{                                                                                          \
		usage_source_register(&var);                                                       \
	}

uint64_t usage_instance(void);
struct usage_entry usage_entry_make(
	const char *kind, const char *name, uint64_t instance, uint64_t revision);

/* The object is no longer among its source's, but workers may still count: listed from now on as it is. */
void usage_ending(const struct usage_entry *entry);
/* No more is counted: its final figures. */
void usage_ended(const struct usage_entry *entry);

/* Those whose figures may still rise, and those whose figures are final. */
void usage_each_live(usage_fn fn, void *arg);
void usage_each_ended(usage_fn fn, void *arg);
/* Ended ones that were let go untold, because there were too many. */
extern uint64_t usage_lost;
/* Somebody has stored the final figures of these (sorted here). */
void usage_forget(uint64_t *instances, size_t count);

/* Takes up what an earlier process wrote to `path`, and writes there every second what has changed since. NULL: nowhere. */
void usage_file_start(const char *path);
/* Writes a last time. */
void usage_file_stop(void);
/* About once a second. */
void usage_file_turn(void);

#endif
