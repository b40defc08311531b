/** The ways in which a simulated peer is hostile. */
export const WAYS = ['garbage', 'silence', 'filters', 'dropping', 'slander'] as const

export type Way = (typeof WAYS)[number]

/** What each does, in a line for reports and the documentation. */
export const DEEDS: Readonly<Record<Way, string>> = {
  garbage: 'says to have every block and every piece, and sends bytes that are none of them',
  silence: 'takes what it is given and says what it holds, and never answers whoever asks for any of it',
  filters: 'tells of a filter that names what it never had; keeps what it is given',
  dropping: 'gives receipts and throws away; every other one still says to hold it',
  slander: 'drops as well, tells everybody that honest peers lie and that its fellows never do',
}

/** Whether what they are given to keep is lost. */
export function losesColumns(way: Way): boolean {
  return way !== 'filters'
}
