/* SPDX-License-Identifier: Apache-2.0 */
/* Copies for files: pcapng, one section a file. PATH is the newest; when it has its size it becomes PATH.1, that PATH.2 and so on, up
 * to `keep` files in all. The sight thread writes; what a disk does not take is lost and counted. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/config.h"
#include "lib/log.h"
#include "lib/pcapng.h"
#include "mirror/mirror.h"

#define WRITE_BYTES (256u << 10)
#define INTERFACES_MAX 4096u
/* After a failure the file is tried again. */
#define RETRY_NS 1000000000ull

struct mirror_file {
	char name[PORT_NAME_MAX];
	char *path, *filter;
	uint64_t rotate_bytes;
	uint32_t keep;
	/* Sight thread. */
	int fd; /* -1: none yet */
	uint64_t size;
	uint64_t failed_ns;                    /* when it last went wrong */
	uint64_t last_ns;                      /* of the newest record */
	struct bytes out;                      /* not written yet */
	unsigned int waiting;                  /* packets in it */
	uint32_t n_interfaces;                 /* of this section */
	uint32_t interface_of[INTERFACES_MAX]; /* by port index; 0: none yet, else number + 1 */
	/* Both threads. */
	pthread_mutex_t lock;
	char trouble[MIRROR_REASON_MAX];
};

/* --- control thread --- */

/* What is there already is not to be harmed unless it is a capture, which is kept as PATH.1. */
static bool is_capture(const char *path)
{
	static const uint8_t magic[4] = {0x0a, 0x0d, 0x0d, 0x0a};
	uint8_t head[4];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n = fd >= 0 ? read(fd, head, sizeof(head)) : -1;

	if (fd >= 0)
		close(fd);
	return n == 0 || (n == sizeof(head) && memcmp(head, magic, sizeof(magic)) == 0);
}

int mirror_file_check(const char *path, struct state_error *err)
{
	const char *name = strrchr(path, '/');
	char directory[PATH_MAX];
	struct stat st;

	if (path[0] != '/' || name[1] == '\0' || strlen(path) + 8 > sizeof(directory))
		return state_fail(err, -EINVAL, "`%.80s` is no absolute path of a file", path);
	snprintf(directory, sizeof(directory), "%.*s", (int)(name - path + 1), path);
	if (access(directory, W_OK | X_OK) != 0)
		return state_fail(err, -errno, "%.120s can not be written to: %s", directory,
			strerror(errno));
	if (lstat(path, &st) == 0 && (!S_ISREG(st.st_mode) || !is_capture(path)))
		return state_fail(err, -EEXIST, "%.120s is there already, and is no capture", path);
	return 0;
}

struct mirror_file *mirror_file_new(
	const char *name, const char *path, uint32_t rotate_mb, uint32_t keep, const char *filter)
{
	struct mirror_file *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->fd = -1;
	f->path = strdup(path);
	f->filter = filter[0] != '\0' ? strdup(filter) : NULL;
	if (f->path == NULL || (filter[0] != '\0' && f->filter == NULL)) {
		mirror_file_free(f);
		return NULL;
	}
	snprintf(f->name, sizeof(f->name), "%s", name);
	f->rotate_bytes = (uint64_t)(rotate_mb > 0 ? rotate_mb : 100) << 20;
	f->keep = keep > 0 ? keep : 1;
	pthread_mutex_init(&f->lock, NULL);
	return f;
}

void mirror_file_free(struct mirror_file *f)
{
	if (f == NULL)
		return;
	if (f->fd >= 0)
		close(f->fd);
	bytes_free(&f->out);
	free(f->path);
	free(f->filter);
	free(f);
}

void mirror_file_trouble(struct mirror_file *f, char reason[MIRROR_REASON_MAX])
{
	pthread_mutex_lock(&f->lock);
	memcpy(reason, f->trouble, MIRROR_REASON_MAX);
	pthread_mutex_unlock(&f->lock);
}

/* --- sight thread --- */

static void set_trouble(struct mirror_file *f, const char *what, int error)
{
	pthread_mutex_lock(&f->lock);
	if (what == NULL)
		f->trouble[0] = '\0';
	else
		snprintf(f->trouble, sizeof(f->trouble), "%.100s: %s: %s", f->path, what,
			strerror(error));
	pthread_mutex_unlock(&f->lock);
}

/* PATH.(keep - 2) becomes PATH.(keep - 1) and so on; the last one goes. */
static void shift_files(const struct mirror_file *f)
{
	char from[PATH_MAX], to[PATH_MAX];

	for (uint32_t i = f->keep - 1; i > 0; i--) {
		snprintf(to, sizeof(to), "%s.%u", f->path, i);
		snprintf(from, sizeof(from), i > 1 ? "%s.%u" : "%s", f->path, i - 1);
		rename(from, to);
	}
	if (f->keep == 1)
		unlink(f->path);
}

static void begin_section(struct mirror_file *f)
{
	bytes_clear(&f->out);
	f->waiting = 0;
	f->n_interfaces = 0;
	memset(f->interface_of, 0, sizeof(f->interface_of));
	pcapng_section(&f->out, "vpc-dataplane " VPC_VERSION);
}

static void close_file(struct mirror_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

static bool open_file(struct mirror_file *f)
{
	struct stat st;

	if (lstat(f->path, &st) == 0 && st.st_size > 0)
		shift_files(f);
	/* Whatever is there by now: nobody waits for a pipe's reader. */
	f->fd = open(
		f->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
	if (f->fd < 0 || fstat(f->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		set_trouble(f, "can not be made", f->fd < 0 ? errno : EEXIST);
		close_file(f);
		return false;
	}
	f->size = 0;
	set_trouble(f, NULL, 0);
	begin_section(f);
	return true;
}

static int write_all(int fd, const uint8_t *data, size_t length)
{
	while (length > 0) {
		ssize_t n = write(fd, data, length);

		if (n == 0)
			return -EIO;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			data += n;
			length -= (size_t)n;
		}
	}
	return 0;
}

/* After a failure the file ends where the last whole block does. */
static void write_out(struct observer *o, struct mirror_file *f)
{
	int rc;

	if (f->fd < 0 || f->out.length == 0)
		return;
	rc = f->out.failed ? -ENOMEM : write_all(f->fd, f->out.data, f->out.length);
	if (rc != 0) {
		observe_lost_later(o, f->waiting);
		set_trouble(f, "can not be written", -rc);
		if (ftruncate(f->fd, (off_t)f->size) != 0)
			log_debug("a capture may end in the middle of a block",
				LOG_STR("path", f->path));
		close_file(f);
		f->failed_ns = f->last_ns;
	} else {
		f->size += f->out.length;
	}
	bytes_clear(&f->out);
	f->waiting = 0;
	if (f->fd >= 0 && f->size >= f->rotate_bytes)
		close_file(f);
}

static uint32_t interface_for(struct mirror_file *f, loc_t port)
{
	uint32_t index = loc_is_port(port) ? loc_index(port) : 0;
	char name[PORT_NAME_MAX], text[2 * PORT_NAME_MAX + 80];
	struct pcapng_interface interface = {
		.name = text, .filter = f->filter, .link_type = PCAPNG_ETHERNET};

	if (index >= INTERFACES_MAX)
		index = INTERFACES_MAX - 1;
	if (f->interface_of[index] == 0) {
		observe_port_name(port, name);
		snprintf(text, sizeof(text), "%.80s/%s", node_config.node, name);
		pcapng_interface(&f->out, &interface);
		f->interface_of[index] = ++f->n_interfaces;
	}
	return f->interface_of[index] - 1;
}

/* Is there a file to write to? One that failed is tried again after a while. */
static bool is_ready(struct mirror_file *f)
{
	if (f->fd >= 0)
		return true;
	if (f->failed_ns != 0 && f->last_ns - f->failed_ns < RETRY_NS)
		return false;
	if (open_file(f)) {
		f->failed_ns = 0;
		return true;
	}
	f->failed_ns = f->last_ns;
	return false;
}

static void record(struct observer *o, const struct observe_meta *meta, const uint8_t *data)
{
	struct mirror_file *f = ((struct mirror *)observer_context(o))->file;
	bool sent = meta->point == OBSERVE_AT_RX;
	struct pcapng_packet packet = {
		.time_ns = observe_time_ns(meta->tsc),
		.data = data,
		.captured = meta->caplen,
		.length = meta->len,
		.direction = sent ? PCAPNG_INBOUND : PCAPNG_OUTBOUND,
	};

	f->last_ns = packet.time_ns;
	if (!is_ready(f)) {
		observe_lost_later(o, 1);
		return;
	}
	packet.interface = interface_for(f, sent ? meta->in : meta->out);
	pcapng_packet(&f->out, &packet);
	f->waiting++;
	if (f->out.length >= WRITE_BYTES || f->size + f->out.length >= f->rotate_bytes)
		write_out(o, f);
}

static void flush(struct observer *o)
{
	write_out(o, ((struct mirror *)observer_context(o))->file);
}

static void end(struct observer *o)
{
	flush(o);
	mirror_destroy(observer_context(o));
}

const struct observe_sink mirror_file_sink = {.record = record, .flush = flush, .close = end};
