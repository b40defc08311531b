import * as fc from 'fast-check'

/**
 * Property tests of `npm test` draw the same cases each time, so that a change fails for what is in it. `npm run check:long`
 * runs them again with cases of its own (P2PNODE_TEST_SEED=random); what it finds becomes a case by name.
 */
const SEED = 20_261_126

if (process.env['P2PNODE_TEST_SEED'] !== 'random') fc.configureGlobal({ seed: SEED })
