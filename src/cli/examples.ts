/** One command line worth showing, and what it is for. A test runs each of them against a node, unless it never ends. */
export interface Example {
  /** What follows `p2pnode`; CID, PEER and the like are put in by whoever runs it. */
  command: string
  does: string
  /** Runs until it is stopped, changes the configuration, or needs something that a test cannot give. */
  byHand?: true
}

/** By the words of the command. In the order in which a test may run them: later ones use what earlier ones made. */
export const EXAMPLES: Readonly<Record<string, readonly Example[]>> = {
  start: [
    { command: 'start', does: 'a node for yourself', byHand: true },
    { command: 'start --role worker --set storage.quota=200GiB', does: 'a server', byHand: true },
    { command: 'start --bootstrap /ip4/192.0.2.7/tcp/4700/p2p/PEER', does: 'join a node', byHand: true },
  ],
  status: [{ command: 'status --ready', does: 'for scripts: exits with 1 unless the node serves' }],
  connect: [{ command: 'connect /ip4/ADDRESS/tcp/4700/p2p/PEER', does: 'as `p2pnode id` prints it there' }],
  peers: [{ command: 'peers --known', does: 'who was here before and is away' }],
  block: [
    { command: 'block PEER --reason spam', does: 'nothing goes there or comes from there', byHand: true },
    { command: 'block /ipfs/CID', does: 'content that nobody gets from this node', byHand: true },
  ],
  'trust ls': [{ command: 'trust ls', does: 'everybody of whom something is known' }],
  'trust show': [{ command: 'trust show PEER', does: 'why it has the score that it has' }],
  'trust set': [
    { command: 'trust set PEER 0.9', does: 'a friend, whatever is seen of it' },
    { command: 'trust set PEER --clear', does: 'let what was seen count again' },
  ],
  'trust recommend': [
    { command: 'trust recommend PEER', does: 'tell the others what was seen of it, or what you set' },
    { command: 'trust recommend PEER --withdraw', does: 'take it back' },
    { command: 'trust recommend', does: 'what this node tells of others' },
  ],
  'pubsub pub': [
    { command: 'pubsub pub weather sunny', does: 'to everybody who listens' },
    {
      command: 'pubsub pub weather rain --to PEER',
      does: 'to one peer, that must be listening',
      byHand: true,
    },
  ],
  'pubsub sub': [{ command: 'pubsub sub weather', does: 'until it is stopped', byHand: true }],
  'pubsub hook add': [
    {
      command: 'pubsub hook add weather http://127.0.0.1:8080/weather',
      does: 'to a program of this machine; prints the secret that its messages are signed with',
    },
  ],
  'pubsub hook ls': [{ command: 'pubsub hook ls', does: 'what was taken, what waits, and why' }],
  'pubsub hook enable': [{ command: 'pubsub hook enable 1', does: 'once what listens there is back' }],
  'pubsub hook rm': [{ command: 'pubsub hook rm 1', does: 'the first of them' }],
  'pubsub topics': [{ command: 'pubsub topics', does: 'what is listened to here' }],
  'pubsub peers': [{ command: 'pubsub peers weather', does: 'who of the neighbours hears it' }],
  'trust audit': [{ command: 'trust audit', does: 'exits with 5 where stored evidence was tampered with' }],
  'swarm create': [
    { command: 'swarm create --name desk', does: 'prints the words that bring it back', byHand: true },
  ],
  'swarm invite': [
    { command: 'swarm invite laptop', does: 'good for a day, and for one node', byHand: true },
    { command: 'swarm invite server --admin --expires 1h', does: 'may invite others', byHand: true },
  ],
  'swarm join': [
    { command: 'swarm join < invitation.txt', does: 'so that nobody else sees it', byHand: true },
  ],
  'swarm status': [{ command: 'swarm status', does: 'whether this node is in one' }],
  'swarm members': [{ command: 'swarm members --all', does: 'and who was put out', byHand: true }],
  'swarm revoke': [
    { command: 'swarm revoke PEER', does: 'out at once, and for good', byHand: true },
    { command: 'swarm revoke PEER --with-invited', does: 'an admin and all it let in', byHand: true },
  ],
  'swarm recover': [{ command: 'swarm recover < words.txt', does: 'on any member', byHand: true }],
  put: [
    { command: 'put README.md', does: 'a file; prints its link' },
    { command: 'put docs --name manual', does: 'a folder under a name of your own' },
    { command: 'put docs --name manual --redundancy copies:1', does: 'another version, kept by one node' },
    { command: 'put photos --redundancy rs:4/8', does: 'any 4 of 8 nodes may be lost', byHand: true },
  ],
  share: [
    { command: 'share manual@1', does: 'its link: whoever has it can read' },
    { command: 'share LINK --verify-only', does: 'a link that checks and repairs, and reads nothing' },
  ],
  health: [{ command: 'health LINK', does: 'how many parts are alive' }],
  repair: [{ command: 'repair LINK', does: 'make missing parts again' }],
  inspect: [{ command: 'inspect LINK', does: 'what it is; asks nobody' }],
  'state export': [{ command: 'state export owner.state', does: 'everything this owner knows' }],
  'state import': [{ command: 'state import owner.state', does: 'what another machine exported' }],
  'state phrase': [{ command: 'state phrase', does: 'write it down' }],
  'state recover': [{ command: 'state recover < phrase.txt', does: 'on a new machine', byHand: true }],
  add: [
    { command: 'add README.md', does: 'a file; prints its CID' },
    { command: 'add docs --pin manual', does: 'a folder with everything in it, pinned under a name' },
    { command: 'add README.md --no-pin --chunker fastcdc', does: 'cut by content; kept until the next gc' },
    { command: 'add notes --private', does: 'for peers of this network alone', byHand: true },
  ],
  route: [{ command: 'route CID', does: 'every source, and what its score is made of' }],
  providers: [{ command: 'providers CID', does: 'who has it, and how they did so far' }],
  get: [
    { command: 'get CID -o copy.md', does: 'a file under a name of your own' },
    { command: 'get CID/decisions -o decisions', does: 'a part of a folder' },
    { command: 'get CID -o copy.md --force', does: 'replace what is there' },
    { command: 'get LINK -o private.md', does: 'a private file' },
  ],
  cat: [
    { command: 'cat CID', does: 'a whole file' },
    { command: 'cat CID --offset 100 --length 20', does: 'twenty bytes of it' },
    { command: 'cat LINK --offset 100 --length 20', does: 'of a private file' },
  ],
  ls: [
    { command: 'ls', does: 'private files, and what is pinned' },
    { command: 'ls --links', does: 'with the links of private files' },
    { command: 'ls CID', does: 'a folder' },
  ],
  rm: [
    { command: 'rm manual@2', does: 'one version of a private file' },
    { command: 'rm LINK', does: 'the file of a link' },
  ],
  prune: [{ command: 'prune --dry-run', does: 'what would be removed' }],
  leave: [{ command: 'leave', does: 'before a machine goes for good', byHand: true }],
  'car export': [{ command: 'car export CID -o copy.car', does: 'a file with everything below the CID' }],
  'car import': [
    { command: 'car import copy.car --pin copy', does: 'the blocks of it, with its roots pinned' },
  ],
  'pin add': [{ command: 'pin add CID --name keep', does: 'fetch what is missing, and keep it' }],
  'pin policy add': [
    {
      command: 'pin policy add copies --copies 3 --min-score 0.5',
      does: 'three other nodes keep what is pinned',
    },
    {
      command: 'pin policy add auto --min-score 0.7 --budget 10GiB',
      does: 'pin what trusted peers announce',
    },
    { command: 'pin policy add recent --window 7d --budget 5GiB', does: 'keep what was read within a week' },
  ],
  'pin policy ls': [{ command: 'pin policy ls', does: 'what they keep' }],
  'pin policy copies': [{ command: 'pin policy copies', does: 'who keeps them' }],
  'pin policy rm': [{ command: 'pin policy rm 1', does: 'the first of them' }],
  'pin rm': [{ command: 'pin rm CID --name keep', does: 'let go of it' }],
  'name publish': [
    { command: 'name publish CID', does: "under the node's own key; prints the name" },
    { command: 'name publish CID --key releases --ttl 1m', does: 'under a key of its own', byHand: true },
  ],
  'name resolve': [
    { command: 'name resolve NAME', does: 'the path that it leads to now' },
    { command: 'name resolve NAME --record', does: 'number and expiry of its record' },
  ],
  'name import': [{ command: 'name import NAME.ipns-record', does: 'as name export wrote it', byHand: true }],
  'name keys create': [{ command: 'name keys create releases', does: 'a name of its own for each channel' }],
  'catalog publish': [
    {
      command: 'catalog publish CID --title Manual --tag docs',
      does: 'everybody in the network finds it',
    },
    { command: 'catalog publish LINK --title Photos --reveal-link', does: 'a private file, for everybody' },
  ],
  'catalog search': [
    { command: 'catalog search manual', does: 'by a word' },
    { command: 'catalog search man* --tag docs --limit 5', does: 'by the beginning of one, and a tag' },
  ],
  'catalog ls': [
    { command: 'catalog ls --own', does: 'what this node has published, with numbers' },
    { command: 'catalog ls --mime video/', does: 'the newest films' },
  ],
  'catalog withdraw': [{ command: 'catalog withdraw 1', does: 'the first of them' }],
  'catalog publishers': [{ command: 'catalog publishers', does: 'whose entries there are' }],
  'catalog sync': [
    { command: 'catalog sync', does: 'with everybody who is connected' },
    { command: 'catalog sync PEER', does: 'all of one publisher, from itself' },
  ],
  'private add': [{ command: 'private add CID', does: 'what was added as public', byHand: true }],
  'private rm': [{ command: 'private rm CID', does: 'let anybody have it', byHand: true }],
  'private ls': [{ command: 'private ls', does: 'what is private here' }],
  jobs: [
    { command: 'jobs ls --state running', does: 'what the node works on' },
    { command: 'jobs wait JOB', does: 'until it has ended', byHand: true },
  ],
  events: [{ command: 'events --topics jobs,peers', does: 'until Ctrl-C', byHand: true }],
  backup: [{ command: 'backup node.tar', does: 'while the node runs' }],
  restore: [{ command: '--home NEW restore node.tar', does: 'into a folder that is empty', byHand: true }],
  'config init': [{ command: 'config init --role worker', does: 'HOME/config.yaml', byHand: true }],
  'config show': [{ command: 'config show storage', does: 'the keys below storage' }],
  'config set': [
    { command: 'config set storage.quota 200GiB', does: 'one value', byHand: true },
    { command: 'config set content.gateways []', does: 'a list, as JSON', byHand: true },
  ],
  'token create': [{ command: 'token create monitoring --scope read', does: 'may look, not touch' }],
  simulate: [
    { command: 'simulate', does: 'fifty nodes, in this process', byHand: true },
    { command: 'simulate --count 20 --scenario churn', does: 'nodes leave and come back', byHand: true },
    {
      command: 'simulate --count 20 --scenario hostile',
      does: 'a third of them are not to be believed',
      byHand: true,
    },
  ],
  completion: [{ command: 'completion bash', does: 'load it with: source <(p2pnode completion bash)' }],
}

/** The lines of help that follow the options. */
export function examplesText(examples: readonly Example[]): string {
  const width = Math.max(...examples.map(({ command }) => command.length))
  return `\nExamples:\n${examples.map(({ command, does }) => `  p2pnode ${command.padEnd(width)}  ${does}`).join('\n')}`
}
