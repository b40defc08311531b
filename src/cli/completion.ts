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
  const choices = flatten(root).flatMap((node) =>
    node.options
      .filter((option) => option.choices.length > 0)
      .flatMap((option) =>
        option.flags.map(
          (flag) => `    ${quote(`${node.words} ${flag}`)}) candidates=${quote(option.choices.join(' '))} ;;`,
        ),
      ),
  )
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
  case "$path \${COMP_WORDS[COMP_CWORD - 1]}" in
${choices.join('\n')}
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
  const nodes = flatten(root)
  const groups = nodes.filter((node) => node.children.length > 0 && node !== root).map((node) => node.words)
  const lines = nodes.flatMap((node) => {
    const at = `complete -c p2pnode -n ${quote(`__p2pnode_at ${node.words}`.trim())}`
    return [
      ...node.children.map((child) => `${at} -f -a ${quote(lastWord(child))} -d ${quote(child.summary)}`),
      // The options of the program fit everywhere.
      ...node.options.map((option) => fishOption(option, node === root ? 'complete -c p2pnode' : at)),
    ]
  })
  return `# fish completion of p2pnode; load it with: p2pnode completion fish | source
function __p2pnode_at
  set -l words (commandline -opc)
  set -e words[1]
  set -l path ''
  set -l is_value 0
  for word in $words
    if test $is_value = 1
      set is_value 0
      continue
    end
    switch $word
      case --home --api --token
        set is_value 1
      case '-*'
      case '*'
        if test -z "$path"
          set path $word
        else if contains -- "$path" ${groups.map(quote).join(' ')}
          set path "$path $word"
        end
    end
  end
  test "$path" = "$argv"
end
${lines.join('\n')}
`
}

function fishOption(option: Node['options'][number], command: string): string {
  const flags = option.flags
    .map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`))
    .join(' ')
  const value =
    option.choices.length > 0 ? ` -xa ${quote(option.choices.join(' '))}` : option.takesValue ? ' -r' : ''
  return `${command} ${flags}${value} -d ${quote(option.description)}`
}

/** A completion script made of the commands themselves, so that it cannot lag behind them. */
export function completionScript(program: Command, shell: 'bash' | 'zsh' | 'fish'): string {
  const root = nodeOf(program, [])
  if (shell === 'bash') return bash(root)
  return shell === 'zsh' ? zsh(root) : fish(root)
}
