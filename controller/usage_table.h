/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_USAGE_TABLE_H
#define CONTROLLER_USAGE_TABLE_H
/* The figures in memory (usage_table.c) and in the store (usage_store.c). See usage.h for the idea. */
#include "store.h"
#include "strmap.h"

#include <sys/queue.h>

#define USAGE_FIGURES 4
/* "rx_packets", "rx_bytes", "tx_packets", "tx_bytes" */
extern const char *const usage_figure_names[USAGE_FIGURES];

struct usage_figures {
	uint64_t v[USAGE_FIGURES];
};

struct usage_row;

/* One life of an object's counters on one node. */
struct usage_life {
	char key[24]; /* the instance's number */
	int64_t instance;
	struct usage_row *row;
	char *node;
	struct usage_figures figures;
	int64_t updated_ms;
	unsigned round; /* of the last report */
	bool ended;     /* nothing more is counted */
	bool dirty;     /* to be written */
	LIST_ENTRY(usage_life) of_row;
};

/* An object, there or deleted. */
struct usage_row {
	int64_t id; /* revision of its creation */
	char *key;  /* kind, \x1f, name */
	char *kind, *name, *tenant;
	int64_t deleted_ms;  /* 0: it is there */
	int64_t deleting_ms; /* what it will be once that is stored */
	int64_t updated_ms;  /* of `base` */
	struct usage_figures base;
	LIST_HEAD(, usage_life) lives;
	struct usage_row *older; /* of the same name; descending ids */
	int64_t *dropped;        /* lives that went into the base: to be taken out of the store */
	size_t dropped_count, dropped_room;
	bool dirty; /* to be written */
	TAILQ_ENTRY(usage_row) link;
};

TAILQ_HEAD(usage_rows, usage_row);

struct usage_table {
	struct usage_rows rows; /* by id */
	struct strmap by_key;   /* kind and name → the newest row */
	struct strmap lives;    /* by instance */
};

void usage_table_init(struct usage_table *table);
void usage_table_fini(struct usage_table *table);

struct usage_row *usage_row_add(struct usage_table *table, int64_t id, const char *kind,
	const char *name, const char *tenant);
void usage_row_drop(struct usage_table *table, struct usage_row *row);
/* The newest of that name; NULL when there is none. */
struct usage_row *usage_row_newest(
	const struct usage_table *table, const char *kind, const char *name);
/* The one that existed at that revision; NULL when there never was one. */
struct usage_row *usage_row_at(
	const struct usage_table *table, const char *kind, const char *name, int64_t revision);

struct usage_life *usage_life_get(const struct usage_table *table, int64_t instance);
struct usage_life *usage_life_add(
	struct usage_table *table, struct usage_row *row, int64_t instance, const char *node);
/* Its figures become part of the row's. */
void usage_life_fold(struct usage_table *table, struct usage_life *life);

struct usage_figures usage_row_total(const struct usage_row *row);
int64_t usage_row_updated_ms(const struct usage_row *row);
/* Takes each figure that is greater; true when one was. */
bool usage_raise(struct usage_figures *figures, const struct usage_figures *to);

/* ---- usage_store.c ---- */

struct usage_store;
/* Loads all rows. NULL, logged, when that fails. */
struct usage_store *usage_store_open(struct store *store, struct usage_table *table);
void usage_store_close(struct usage_store *store);
/* Each joins the store's open transaction. */
void usage_store_row(struct usage_store *store, const struct usage_row *row);
void usage_store_life(struct usage_store *store, const struct usage_life *life);
void usage_store_drop_life(struct usage_store *store, int64_t instance);
void usage_store_drop_row(struct usage_store *store, const struct usage_row *row);

#endif
