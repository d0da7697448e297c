// SPDX-License-Identifier: Apache-2.0
/*
 * The terminal as a page that is drawn anew: raw keys, the alternate screen, its size. Restored when the process
 * ends, also by a signal.
 */
#ifndef CLI_TOP_SCREEN_H
#define CLI_TOP_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

/* False when standard input or output is no terminal that can do it. */
bool screen_open(void);
void screen_close(void);
/* Columns and lines; 80 x 24 when unknown. */
void screen_size(size_t *width, size_t *height);

enum screen_key {
	KEY_NONE = 0,    /* the time is up, or the size has changed */
	KEY_ENDED = 256, /* a signal, or the terminal is gone */
	KEY_UP,
	KEY_DOWN,
	KEY_LEFT,
	KEY_RIGHT,
	KEY_PAGE_UP,
	KEY_PAGE_DOWN,
	KEY_HOME,
	KEY_END,
	KEY_ESCAPE,
};

/* A character, or one of the above. */
int screen_key(int timeout_ms);

/* The first `height` of the lines, each ended by a newline, which must not be wider than the screen: what was there
 * before is overwritten without flicker. */
void screen_draw(const char *text, size_t height);

#endif
