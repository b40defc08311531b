/** Threads for what takes longer than the event loop can spare. What runs in them is brought by the rooms that need it. */
export { movable } from './moved.ts'
export {
  createWorkerPool,
  type WorkerCall,
  type WorkerPool,
  type WorkerPoolOptions,
  workerEntry,
} from './pool.ts'
