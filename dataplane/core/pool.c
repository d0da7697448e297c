/* SPDX-License-Identifier: Apache-2.0 */
#include "core/pool.h"

#include <errno.h>

#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>

#include "core/config.h"
#include "core/eal.h"
#include "core/pkt.h"
#include "core/worker.h"
#include "lib/log.h"

/* Buffers a worker keeps at hand: of each pool at most a quarter with all workers together. */
#define CACHE 256u
#define JUMBO_ROOM (RTE_PKTMBUF_HEADROOM + 65280u)
#define JUMBO_PER_WORKER 384u

static struct rte_mempool *pools[2];

/* As rte_pktmbuf_pool_create(), but without hugepages it must not ask for IO-contiguous memory: objects would be spread
 * one a page and alias in the cache. */
static struct rte_mempool *make(const char *name, unsigned int n, uint16_t room)
{
	struct rte_pktmbuf_pool_private priv = {
		.mbuf_data_room_size = room,
		.mbuf_priv_size = RTE_ALIGN(sizeof(struct pkt), RTE_MBUF_PRIV_ALIGN),
	};
	unsigned int size = (unsigned int)sizeof(struct rte_mbuf) + priv.mbuf_priv_size + room;
	unsigned int cache = RTE_MIN(CACHE, n / 4 / (worker_count + 1));
	struct rte_mempool *mp = rte_mempool_create_empty(name, n, size, cache, sizeof(priv),
		SOCKET_ID_ANY, eal_has_hugepages() ? 0 : RTE_MEMPOOL_F_NO_IOVA_CONTIG);

	if (mp == NULL)
		return NULL;
	rte_mempool_set_ops_byname(mp, rte_mbuf_best_mempool_ops(), NULL);
	rte_pktmbuf_pool_init(mp, &priv);
	if (rte_mempool_populate_default(mp) < 0) {
		rte_mempool_free(mp);
		return NULL;
	}
	rte_mempool_obj_iter(mp, rte_pktmbuf_init, NULL);
	return mp;
}

int pool_init(const struct node_config *c)
{
	/* Half of the memory for packets; the rest is for tables, rings and drivers. */
	size_t bytes = (size_t)c->size_mb * 1024 * 1024 / 2;
	unsigned int jumbo = JUMBO_PER_WORKER * c->n_workers;
	unsigned int n;

	if ((size_t)jumbo * JUMBO_ROOM > bytes / 3)
		jumbo = (unsigned int)(bytes / 3 / JUMBO_ROOM);
	n = (unsigned int)((bytes - (size_t)jumbo * JUMBO_ROOM) / 2560);
	pools[0] = make("pkt", n, RTE_MBUF_DEFAULT_BUF_SIZE);
	pools[1] = make("jumbo", jumbo, JUMBO_ROOM);
	if (pools[0] == NULL || pools[1] == NULL) {
		log_error("no memory for packet buffers: raise memory.size_mb",
			LOG_UINT("size_mb", c->size_mb));
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < c->n_workers; i++) {
		workers[i].pool = pools[0];
		workers[i].jumbo_pool = pools[1];
	}
	return 0;
}

unsigned int pool_in_use(void)
{
	return rte_mempool_in_use_count(pools[0]) + rte_mempool_in_use_count(pools[1]);
}
