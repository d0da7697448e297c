// SPDX-License-Identifier: Apache-2.0
#include "cli/top_screen.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "cli/text.h"

#define ENTER "\033[?1049h\033[?25l\033[H\033[2J"
#define LEAVE "\033[?25h\033[?1049l"
/* The rest of an escape sequence comes at once. */
#define ESCAPE_MS 30

static struct termios saved;
static bool is_open;
static volatile sig_atomic_t ended, resized;
static int wake[2] = {-1, -1};

static void on_signal(int number)
{
	const int error = errno;

	if (number == SIGWINCH)
		resized = 1;
	else
		ended = 1;
	if (write(wake[1], "", 1) < 0)
		errno = error;
	errno = error;
}

static void write_all(const char *text, size_t size)
{
	while (size > 0) {
		ssize_t n = write(STDOUT_FILENO, text, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			ended = 1;
			return;
		}
		text += n;
		size -= (size_t)n;
	}
}

static bool is_capable(void)
{
	const char *term = getenv("TERM");

	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && term && *term &&
	       strcmp(term, "dumb") != 0;
}

bool screen_open(void)
{
	static const int signals[] = {SIGWINCH, SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = on_signal};
	struct termios raw;

	if (!is_capable() || tcgetattr(STDIN_FILENO, &saved) < 0 ||
		pipe2(wake, O_CLOEXEC | O_NONBLOCK) < 0)
		return false;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
	raw = saved;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0)
		return false;
	is_open = true;
	write_all(ENTER, strlen(ENTER));
	return true;
}

void screen_close(void)
{
	if (!is_open)
		return;
	is_open = false;
	write_all(LEAVE, strlen(LEAVE));
	tcsetattr(STDIN_FILENO, TCSANOW, &saved);
}

void screen_size(size_t *width, size_t *height)
{
	struct winsize size;

	*width = 80;
	*height = 24;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		return;
	if (size.ws_col > 0)
		*width = size.ws_col;
	if (size.ws_row > 0)
		*height = size.ws_row;
}

/* ---- Keys ---- */

/* One byte, or -1 when none comes in time. */
static int read_byte(int timeout_ms)
{
	struct pollfd fds[2] = {{STDIN_FILENO, POLLIN, 0}, {wake[0], POLLIN, 0}};
	unsigned char byte;
	char drain[16];

	if (poll(fds, 2, timeout_ms) <= 0)
		return -1;
	while (read(wake[0], drain, sizeof(drain)) > 0)
		;
	if (!(fds[0].revents & (POLLIN | POLLHUP | POLLERR)))
		return -1;
	if (read(STDIN_FILENO, &byte, 1) == 1)
		return byte;
	if (fds[0].revents & (POLLHUP | POLLERR))
		ended = 1;
	return -1;
}

/* Behind ESC [ or ESC O. */
static int sequence(void)
{
	static const struct {
		const char *text;
		int key;
	} keys[] = {{"A", KEY_UP}, {"B", KEY_DOWN}, {"C", KEY_RIGHT}, {"D", KEY_LEFT},
		{"H", KEY_HOME}, {"F", KEY_END}, {"1~", KEY_HOME}, {"4~", KEY_END},
		{"5~", KEY_PAGE_UP}, {"6~", KEY_PAGE_DOWN}};
	char text[8] = "";
	size_t length = 0;
	int byte;

	while (length + 1 < sizeof(text) && (byte = read_byte(ESCAPE_MS)) >= 0) {
		text[length++] = (char)byte;
		if (byte >= '@' && byte <= '~')
			break;
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!strcmp(text, keys[i].text))
			return keys[i].key;
	return KEY_NONE;
}

int screen_key(int timeout_ms)
{
	int byte = ended ? -1 : read_byte(timeout_ms);

	if (ended)
		return KEY_ENDED;
	if (byte < 0) {
		resized = 0;
		return KEY_NONE;
	}
	if (byte != 27)
		return byte;
	byte = read_byte(ESCAPE_MS);
	return byte == '[' || byte == 'O' ? sequence() : KEY_ESCAPE;
}

/* ---- Drawing ---- */

void screen_draw(const char *text, size_t height)
{
	char *page = NULL;
	size_t size;
	FILE *out = must(open_memstream(&page, &size));

	fputs("\033[H", out);
	for (size_t line = 0; *text && line < height; line++) {
		const size_t length = strcspn(text, "\n");

		fwrite(text, 1, length, out);
		fputs("\033[K", out);
		text += length;
		/* No newline behind the last line: the terminal would scroll. */
		if (*text == '\n' && *++text && line + 1 < height)
			fputs("\r\n", out);
	}
	fputs("\033[J", out);
	fclose(out);
	write_all(must(page), size);
	free(page);
}
