/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_MOVE_H
#define CONTROLLER_MOVE_H
/*
 * Sessions follow a port that moves to another node: once the old node has let the port go and the new one has it, its sessions are
 * fetched page by page from the one (session.export) and given to the other (session.import). One page of a port is under way
 * at a time, so neither node nor we hold many.
 *
 * An old node that can not be asked: the port moves all the same, and its new node picks connections up in their
 * middle for a while (session.recover). Nothing of a move is stored: a controller that dies in its midst leaves the rest
 * of the sessions behind.
 */
struct controller;
struct moves;
struct object;

struct moves *moves_new(struct controller *c);
void moves_free(struct moves *moves);

/* A port's change from node to node (names) is published, and not sent yet. */
void move_begin(struct controller *c, const char *port, const char *from, const char *to);
/* A node has obeyed, or is gone. */
void move_look(struct controller *c);

#endif
