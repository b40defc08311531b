import type { Differences } from './differences.ts'

/**
 * What `network.mode: public` adds: the entry points of the public IPFS network that its own implementations ship with
 * (bootstrap nodes of Kubo and js-libp2p; gateways of the trustless gateway specification).
 */
export const publicMode: Differences = {
  'network.bootstrap': [
    '/dnsaddr/bootstrap.libp2p.io/p2p/QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN',
    '/dnsaddr/bootstrap.libp2p.io/p2p/QmQCU2EcMqAqQPR2i9bChDtGNJchTbq5TbXJJ16u19uLTa',
    '/dnsaddr/bootstrap.libp2p.io/p2p/QmbLHAnMoJPWSCR5Zhtx6BHJX9KiKNN6tpvbUcqanj75Nb',
    '/dnsaddr/bootstrap.libp2p.io/p2p/QmcZf59bWwK5XFi76CZX8cbJ4BhTzzA3gU1ZjYZcYW3dwt',
    '/dnsaddr/va1.bootstrap.libp2p.io/p2p/12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8',
  ],
  'content.steps.ipfs': true,
  'content.steps.gateways': true,
  'content.gateways': ['https://trustless-gateway.link', 'https://4everland.io'],
}
