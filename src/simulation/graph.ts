/** Who is connected to whom, by peer id; edges hold in both directions. */
export type Graph = ReadonlyMap<string, ReadonlySet<string>>

/**
 * The graph of what each node says of its peers. An edge counts where either end has it: the two ends learn of a new
 * connection at different moments. Peers that are no nodes of the map are left out.
 */
export function graphOf(peersByNode: ReadonlyMap<string, readonly string[]>): Graph {
  const graph = new Map<string, Set<string>>([...peersByNode.keys()].map((node) => [node, new Set()]))
  for (const [node, peers] of peersByNode) {
    for (const peer of peers) {
      if (peer === node || !graph.has(peer)) continue
      graph.get(node)?.add(peer)
      graph.get(peer)?.add(node)
    }
  }
  return graph
}

/** Steps from `start` to each node that can be reached, breadth first. */
export function distancesFrom(graph: Graph, start: string): Map<string, number> {
  const distances = new Map<string, number>()
  if (!graph.has(start)) return distances
  distances.set(start, 0)
  // A map is walked in the order of insertion, also of what is inserted meanwhile: it is the queue.
  for (const [node, distance] of distances) {
    for (const peer of graph.get(node) ?? []) if (!distances.has(peer)) distances.set(peer, distance + 1)
  }
  return distances
}

export function countEdges(graph: Graph): number {
  let ends = 0
  for (const peers of graph.values()) ends += peers.size
  return ends / 2
}

/** Steps to the nearest of `targets`, or null where none can be reached. */
export function hopsToNearest(graph: Graph, start: string, targets: Iterable<string>): number | null {
  const distances = distancesFrom(graph, start)
  let nearest: number | null = null
  for (const target of targets) {
    const distance = distances.get(target)
    if (distance !== undefined && (nearest === null || distance < nearest)) nearest = distance
  }
  return nearest
}
