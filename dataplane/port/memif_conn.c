/* SPDX-License-Identifier: Apache-2.0 */
#include "port/memif_conn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define RING_LOG2 10
#define RING_SIZE (1u << RING_LOG2)
#define RING_BYTES (sizeof(struct memif_ring) + RING_SIZE * sizeof(struct memif_desc))
#define REGION_BYTES (2 * RING_BYTES + 2ul * RING_SIZE * MEMIF_BUFFER)
#define REGION_MAX (1ul << 32) /* offsets have 32 bits */

enum message_type { ACK = 1, HELLO, INIT, ADD_REGION, ADD_RING, CONNECT, CONNECTED, DISCONNECT };

struct message {
	uint16_t type;
	union {
		struct {
			char name[32];
			uint16_t min_version, max_version;
			uint16_t max_region, max_to_client_ring, max_to_server_ring;
			uint8_t max_log2_ring_size;
		} __attribute__((packed)) hello;
		struct {
			uint16_t version;
			uint32_t id;
			uint8_t mode; /* 0: Ethernet */
			char secret[24];
			char name[32];
		} __attribute__((packed)) init;
		struct {
			uint16_t index;
			uint64_t size;
		} __attribute__((packed)) add_region;
		struct {
			uint16_t flags;
			uint16_t index;
			uint16_t region;
			uint32_t offset;
			uint8_t log2_ring_size;
			uint16_t private_hdr_size;
		} __attribute__((packed)) add_ring;
		struct {
			char name[32];
		} __attribute__((packed)) connect;
		struct {
			uint32_t code;
			char why[96];
		} __attribute__((packed)) disconnect;
		char bytes[126];
	};
} __attribute__((packed));
#define RING_TO_SERVER 1 /* add_ring.flags */

_Static_assert(sizeof(struct message) == 128, "memif_msg_t");

static void gone(struct memif_conn *c, const char *why)
{
	c->state = MEMIF_CONN_GONE;
	snprintf(c->said, sizeof(c->said), "%s", why);
}

/* --- the link --- */

static void end_free(struct memif_end *e)
{
	if (e->event_fd >= 0)
		close(e->event_fd);
}

static void link_free(struct memif_link *l)
{
	if (l == NULL)
		return;
	for (unsigned int i = 0; i < l->n_regions; i++) {
		munmap(l->regions[i].base, l->regions[i].size);
		close(l->regions[i].fd);
	}
	end_free(&l->rx);
	end_free(&l->tx);
	free(l);
}

static struct memif_link *link_new(bool client)
{
	struct memif_link *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->client = client;
	l->rx.event_fd = l->tx.event_fd = -1;
	rte_spinlock_init(&l->tx_lock);
	return l;
}

/* Takes the fd when it returns true. */
static bool map_region(struct memif_link *l, int fd, uint64_t size)
{
	void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (base == MAP_FAILED)
		return false;
	l->regions[l->n_regions++] = (struct memif_region){base, size, fd};
	return true;
}

static bool make_end(struct memif_link *l, struct memif_end *e, uint32_t offset)
{
	e->ring = (struct memif_ring *)(l->regions[0].base + offset);
	e->ring->cookie = MEMIF_COOKIE;
	e->size = RING_SIZE;
	e->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return e->event_fd >= 0;
}

/* The client's: a ring each way, then their buffers. */
static struct memif_link *make_link(void)
{
	struct memif_link *l = link_new(true);
	int fd = memfd_create("memif", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (l == NULL || fd < 0 || ftruncate(fd, (off_t)REGION_BYTES) < 0 ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0 || !map_region(l, fd, REGION_BYTES)) {
		if (fd >= 0)
			close(fd);
		free(l);
		return NULL;
	}
	l->tx_buffers = 2 * RING_BYTES;
	l->rx_buffers = l->tx_buffers + RING_SIZE * MEMIF_BUFFER;
	if (!make_end(l, &l->tx, 0) || !make_end(l, &l->rx, RING_BYTES)) {
		link_free(l);
		return NULL;
	}
	return l;
}

/* --- messages --- */

static void send_message(struct memif_conn *c, struct message *m, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {m, sizeof(*m)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		struct cmsghdr *h;

		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		h = CMSG_FIRSTHDR(&msg);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(h), &fd, sizeof(fd));
	}
	if (sendmsg(c->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && c->state != MEMIF_CONN_GONE)
		gone(c, strerror(errno));
}

static void send_type(struct memif_conn *c, enum message_type type)
{
	struct message m = {.type = (uint16_t)type};

	send_message(c, &m, -1);
}

static void send_hello(struct memif_conn *c)
{
	struct message m = {.type = HELLO,
		.hello = {.name = "vpc-dataplane",
			.min_version = MEMIF_VERSION,
			.max_version = MEMIF_VERSION,
			.max_region = MEMIF_REGIONS_MAX - 1,
			.max_log2_ring_size = MEMIF_RING_LOG2_MAX}};

	send_message(c, &m, -1);
}

static void send_ring(struct memif_conn *c, bool to_server)
{
	const struct memif_end *e = to_server ? &c->link->tx : &c->link->rx;
	struct message m = {.type = ADD_RING,
		.add_ring = {.flags = to_server ? RING_TO_SERVER : 0,
			.offset = to_server ? 0 : RING_BYTES,
			.log2_ring_size = RING_LOG2}};

	send_message(c, &m, e->event_fd);
}

/* The client's part: each message when the one before was acknowledged. */
static void send_next(struct memif_conn *c)
{
	struct message init = {.type = INIT,
		.init = {.version = MEMIF_VERSION, .id = c->id, .name = "vpc-dataplane"}};
	struct message region = {.type = ADD_REGION, .add_region = {.size = REGION_BYTES}};
	struct message connected = {.type = CONNECT, .connect = {.name = "vpc-dataplane"}};

	switch (c->step) {
	case 0:
		send_message(c, &init, -1);
		break;
	case 1:
		send_message(c, &region, c->link->regions[0].fd);
		break;
	case 2:
	case 3:
		send_ring(c, c->step == 2);
		break;
	case 4:
		send_message(c, &connected, -1);
		break;
	default:
		gone(c, "the server acknowledges what nobody said");
	}
	c->step++;
}

static const char *client_hello(struct memif_conn *c, const struct message *m)
{
	if (c->state != MEMIF_CONN_GREETED)
		return "the server greets twice";
	if (m->hello.min_version > MEMIF_VERSION || m->hello.max_version < MEMIF_VERSION)
		return "the server speaks another version of memif";
	if (m->hello.max_log2_ring_size < RING_LOG2)
		return "the server's rings are too small";
	c->link = make_link();
	if (c->link == NULL)
		return "no memory for the rings";
	c->state = MEMIF_CONN_SETTING_UP;
	send_next(c);
	return NULL;
}

static const char *server_init(struct memif_conn *c, const struct message *m)
{
	if (c->state != MEMIF_CONN_GREETED)
		return "INIT came twice";
	if (m->init.version != MEMIF_VERSION)
		return "another version of memif";
	if (m->init.mode != 0)
		return "not in Ethernet mode";
	c->link = link_new(false);
	if (c->link == NULL)
		return "out of memory";
	c->id = m->init.id;
	c->asked = true;
	c->state = MEMIF_CONN_SETTING_UP;
	return NULL;
}

/* A file that may shrink would kill us when we touch what is gone. */
static const char *server_add_region(struct memif_conn *c, const struct message *m, int *fd)
{
	uint64_t size = m->add_region.size;
	struct stat st;
	int seals;

	if (c->state != MEMIF_CONN_SETTING_UP || c->asked || *fd < 0)
		return "ADD_REGION out of place";
	if (m->add_region.index != c->link->n_regions || c->link->n_regions == MEMIF_REGIONS_MAX)
		return "regions come in order, and not too many";
	seals = fcntl(*fd, F_GET_SEALS);
	if (seals < 0 || !(seals & F_SEAL_SHRINK))
		return "a region must be sealed against shrinking";
	if (size == 0 || size > REGION_MAX || fstat(*fd, &st) < 0 || (uint64_t)st.st_size < size)
		return "a region is not as large as said";
	if (!map_region(c->link, *fd, size))
		return "a region can not be mapped";
	*fd = -1;
	send_type(c, ACK);
	return NULL;
}

static bool is_eventfd(int fd)
{
	char path[32], name[64] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, name, sizeof(name) - 1) > 0 && strstr(name, "[eventfd]") != NULL;
}

static const char *server_add_ring(struct memif_conn *c, const struct message *m, int *fd)
{
	struct memif_link *l = c->link;
	struct memif_end *e;
	uint64_t size;

	if (c->state != MEMIF_CONN_SETTING_UP || c->asked)
		return "ADD_RING out of place";
	e = m->add_ring.flags & RING_TO_SERVER ? &l->rx : &l->tx;
	if (m->add_ring.index != 0 || e->ring != NULL)
		return "one ring each way";
	if (m->add_ring.log2_ring_size > MEMIF_RING_LOG2_MAX)
		return "a ring is too large";
	size = sizeof(struct memif_ring) +
	       (sizeof(struct memif_desc) << m->add_ring.log2_ring_size);
	if (m->add_ring.region >= l->n_regions || m->add_ring.offset % sizeof(uint64_t) != 0 ||
		m->add_ring.offset + size > l->regions[m->add_ring.region].size)
		return "a ring is outside of its region";
	if (*fd < 0 || !is_eventfd(*fd) || fcntl(*fd, F_SETFL, O_NONBLOCK) < 0)
		return "a ring comes with an eventfd";
	*e = (struct memif_end){
		.ring = (struct memif_ring *)(l->regions[m->add_ring.region].base +
					      m->add_ring.offset),
		.size = (uint16_t)(1u << m->add_ring.log2_ring_size),
		.event_fd = *fd,
	};
	*fd = -1;
	send_type(c, ACK);
	return NULL;
}

static const char *server_connect(struct memif_conn *c)
{
	struct message m = {.type = CONNECTED, .connect = {.name = "vpc-dataplane"}};
	const struct memif_link *l = c->link;

	if (c->state != MEMIF_CONN_SETTING_UP || l->rx.ring == NULL || l->tx.ring == NULL)
		return "CONNECT comes before the rings";
	if (l->rx.ring->cookie != MEMIF_COOKIE || l->tx.ring->cookie != MEMIF_COOKIE)
		return "a ring has no cookie";
	c->state = MEMIF_CONN_READY;
	send_message(c, &m, -1);
	return NULL;
}

/* NULL, or what is wrong. */
static const char *handle(struct memif_conn *c, const struct message *m, int *fd)
{
	if (m->type == DISCONNECT) {
		char why[sizeof(c->said)];

		snprintf(why, sizeof(why), "the peer says: %.60s", m->disconnect.why);
		gone(c, why);
		return NULL;
	}
	switch (c->client ? (int)m->type : -(int)m->type) {
	case HELLO:
		return client_hello(c, m);
	case ACK:
		if (c->state != MEMIF_CONN_SETTING_UP)
			return "ACK out of place";
		send_next(c);
		return NULL;
	case CONNECTED:
		if (c->state != MEMIF_CONN_SETTING_UP || c->step != 5)
			return "CONNECTED out of place";
		/* Not before: DPDK's server clears the rings when it connects. */
		memif_give_buffers(c->link);
		c->state = MEMIF_CONN_READY;
		return NULL;
	case -INIT:
		return server_init(c, m);
	case -ADD_REGION:
		return server_add_region(c, m, fd);
	case -ADD_RING:
		return server_add_ring(c, m, fd);
	case -CONNECT:
		return server_connect(c);
	default:
		return "a message that is not known";
	}
}

static void send_disconnect(struct memif_conn *c, const char *why)
{
	struct message m = {.type = DISCONNECT};

	snprintf(m.disconnect.why, sizeof(m.disconnect.why), "%s", why);
	send_message(c, &m, -1);
}

/* 0: nothing is there. */
static ssize_t receive(struct memif_conn *c, struct message *m, int *fd)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {m, sizeof(*m)};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	const struct cmsghdr *h;
	ssize_t n = recvmsg(c->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	*fd = -1;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	h = CMSG_FIRSTHDR(&msg);
	if (h != NULL && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(h), sizeof(*fd));
	return n == 0 ? -ECONNRESET : n;
}

void memif_conn_step(struct memif_conn *c)
{
	while (c->state != MEMIF_CONN_GONE && !c->asked) {
		struct message m;
		const char *wrong;
		int fd;
		ssize_t n = receive(c, &m, &fd);

		if (n == 0)
			return;
		if (n < 0) {
			gone(c, "the peer is gone");
			return;
		}
		wrong = n == sizeof(m) ? handle(c, &m, &fd) : "a message of a wrong size";
		if (fd >= 0)
			close(fd);
		if (wrong != NULL) {
			gone(c, wrong);
			send_disconnect(c, wrong);
		}
	}
}

struct memif_conn *memif_conn_new(int fd, bool client, uint32_t id)
{
	struct memif_conn *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		close(fd);
		return NULL;
	}
	*c = (struct memif_conn){.fd = fd, .client = client, .id = id};
	if (!client)
		send_hello(c);
	return c;
}

void memif_conn_accept(struct memif_conn *c)
{
	c->asked = false;
	send_type(c, ACK);
}

void memif_conn_end(struct memif_conn *c, const char *why)
{
	if (why != NULL)
		send_disconnect(c, why);
	close(c->fd);
	link_free(c->link);
	free(c);
}
