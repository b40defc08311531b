import type { Command } from 'commander'

/** One command as completion sees it: its words, its options and what may follow. */
interface Node {
  /** `pin add`, without the program's name; empty for the program. */
  words: string
  summary: string
  children: Node[]
  options: { flags: string[]; description: string; choices: string[]; takesValue: boolean }[]
}

function nodeOf(command: Command, words: string[]): Node {
  return {
    words: words.join(' '),
    summary: command.summary() || command.description(),
    children: command.commands.map((child) => nodeOf(child, [...words, child.name()])),
    options: command.options
      .filter((option) => !option.hidden)
      .map((option) => ({
        flags: [option.long, option.short].filter(
          (flag): flag is string => flag !== undefined && flag !== null,
        ),
        description: option.description,
        choices: option.argChoices ?? [],
        takesValue: option.required || option.optional,
      })),
  }
}

function flatten(node: Node): Node[] {
  return [node, ...node.children.flatMap(flatten)]
}

const lastWord = (node: Node): string => node.words.split(' ').at(-1) ?? ''

/** Quoted for a POSIX shell. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

function bash(root: Node): string {
  const cases = flatten(root).map((node) => {
    const words = [
      ...node.children.map(lastWord),
      ...[...node.options, ...(node === root ? [] : root.options)].flatMap((option) => option.flags),
      '--help',
    ]
    return `    ${quote(node.words)}) candidates=${quote(words.join(' '))} ;;`
  })
  const groups = flatten(root)
    .filter((node) => node.children.length > 0 && node !== root)
    .map((node) => quote(node.words))
  return `# bash completion of p2pnode; load it with: source <(p2pnode completion bash)
_p2pnode() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path='' candidates='' word index
  for ((index = 1; index < COMP_CWORD; index++)); do
    word="\${COMP_WORDS[index]}"
    case "$word" in
      --home | --api | --token) ((index++)) ;;
      -*) ;;
      *)
        if [ -z "$path" ]; then path="$word"
        else case "$path" in ${groups.length === 0 ? "''" : groups.join(' | ')}) path="$path $word" ;; esac
        fi ;;
    esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$candidates" -- "$current"))
}
complete -o default -F _p2pnode p2pnode
`
}

function zsh(root: Node): string {
  return `#compdef p2pnode
# zsh completion of p2pnode; load it with: source <(p2pnode completion zsh)
autoload -U +X bashcompinit && bashcompinit
${bash(root)}`
}

function fish(root: Node): string {
  const lines = ['# fish completion of p2pnode; load it with: p2pnode completion fish | source']
  const options = (node: Node, condition: string): void => {
    for (const option of node.options) {
      const flags = option.flags
        .map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`))
        .join(' ')
      const choices = option.choices.length === 0 ? '' : ` -xa ${quote(option.choices.join(' '))}`
      lines.push(
        `complete -c p2pnode${condition} ${flags}${option.takesValue && choices === '' ? ' -r' : ''}${choices} -d ${quote(option.description)}`,
      )
    }
  }
  options(root, '')
  for (const node of root.children) {
    lines.push(
      `complete -c p2pnode -n __fish_use_subcommand -a ${quote(lastWord(node))} -d ${quote(node.summary)}`,
    )
    options(node, ` -n ${quote(`__fish_seen_subcommand_from ${lastWord(node)}`)}`)
    for (const child of node.children) {
      lines.push(
        `complete -c p2pnode -n ${quote(`__fish_seen_subcommand_from ${lastWord(node)}`)} -xa ${quote(lastWord(child))} -d ${quote(child.summary)}`,
      )
    }
  }
  return `${lines.join('\n')}\n`
}

/** A completion script made of the commands themselves, so that it cannot lag behind them. */
export function completionScript(program: Command, shell: 'bash' | 'zsh' | 'fish'): string {
  const root = nodeOf(program, [])
  if (shell === 'bash') return bash(root)
  return shell === 'zsh' ? zsh(root) : fish(root)
}
