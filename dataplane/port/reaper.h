/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PORT_REAPER_H
#define PORT_REAPER_H
/* Closes file descriptors whose closing takes the kernel long: an interface goes with the last one of a TAP, which takes some ten
 * milliseconds that many of them spend together. A few threads do it, so that the control thread has its time for others.
 *
 * Control thread.
 */
#include <stdbool.h>

/* Takes the file descriptor. In place when there is no thread to be had. */
void reaper_close(int fd);
/* Some are not closed yet. */
bool reaper_busy(void);
/* Returns when all are closed. */
void reaper_wait(void);

#endif
