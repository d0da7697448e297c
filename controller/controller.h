/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_CONTROLLER_H
#define CONTROLLER_CONTROLLER_H
/*
 * The controller as a whole. One thread, one event base; each part is one member, made and ended in
 * controller.c. The way of a change:
 *
 *	api_*.c → txn.c (model) → commit.c (store, group commit) → publish: emission.c → reconcile.c
 *	                                                                  └ watch.c
 */
#include "controller/config.h"
#include "lib/time_text.h"
#include "model.h"
#include "store.h"

struct event_base;
struct jsonrpc_server;
struct tls;

struct controller {
	struct event_base *base;
	const struct controller_config *config;
	struct model model;
	struct store *store;
	struct jsonrpc_server *server;
	struct commits *commits;
	struct events *events;
	struct watches *watches;
	struct captures *captures;
	struct waits *waits;
	struct waves *waves;
	struct moves *moves;
	struct audit *audit;
	struct alert_out *alert_out;
	struct nodes *nodes;
	struct tls *tls; /* who we are for nodes by TLS; NULL: not configured */
	struct http *http;
	struct metrics *metrics;
	struct usage *usage;
	struct backups *backups;
	uint64_t published; /* revision of the newest change that is stored and told to everybody */
};

/* 0 or -errno, logged. On failure everything is taken down again. */
int controller_start(
	struct controller *c, struct event_base *base, const struct controller_config *config);
void controller_stop(struct controller *c);
/* Reads certificates again. Connections go on. */
void controller_reload(struct controller *c);

/* CLOCK_MONOTONIC. */
uint64_t now_us(void);
uint64_t now_ms(void);
#define NOW_TEXT TIME_TEXT
/* RFC 3339 in UTC with milliseconds, into a buffer of NOW_TEXT; returned. */
char *now_text(char *text);

#endif
