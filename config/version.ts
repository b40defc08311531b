declare const __P2PNODE_VERSION__: string | undefined

/** The package's version, put in by the build; sources that run unbuilt say so. */
export const version: string = typeof __P2PNODE_VERSION__ === 'string' ? __P2PNODE_VERSION__ : '0.0.0-source'
