/** Versions of the protocol that are spoken, newest first. A minor version adds; SPEC.md says what. */
export const VERSIONS = ['1.1.0', '1.0.0'] as const
export type Version = (typeof VERSIONS)[number]

export function protocolId(networkName: string, version: Version): string {
  return `/p2pnode/${networkName}/trust/${version}`
}

/** Whether the end of an id that was agreed upon is of a version that can be asked about single peers. */
export function knowsSubjects(protocol: string): boolean {
  return !protocol.endsWith('/1.0.0')
}
