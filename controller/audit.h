/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_AUDIT_H
#define CONTROLLER_AUDIT_H
/*
 * The audit log: one JSON object a line for every call that changes something, refused ones too: who, when,
 * what, and what came of it. A line is written before the answer goes out and synced to the disk within a
 * second: a crash of the controller loses none, a crash of the machine at most the last second's. (The
 * change itself is on the disk before its answer, always.) The file is opened anew on SIGHUP.
 */
struct api_call;
struct audit;
struct event_base;

/* NULL when it cannot be opened (logged). */
struct audit *audit_new(struct event_base *base, const char *path);
void audit_free(struct audit *audit);
/* `code` 0: it was done. */
void audit_call(struct audit *audit, const struct api_call *call, int code);

#endif
