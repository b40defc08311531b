import { afterAll } from 'vitest'
import { Lab } from '../../support/daemon.ts'
import { describePrivateFiles } from '../../support/private-files.ts'

const lab = new Lab()
afterAll(() => lab.close())

describePrivateFiles(lab, { redundancy: { k: 4, n: 8 }, largeBytes: 32 * 2 ** 20 + 17 })
