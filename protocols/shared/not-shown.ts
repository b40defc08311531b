/**
 * What no text of one line may hold that others are shown, on terminals too: control characters, line and paragraph
 * separators, and what turns the direction of writing around.
 */
export const NOT_SHOWN = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u
