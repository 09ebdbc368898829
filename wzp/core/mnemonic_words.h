/* The English word list of BIP 39. Thread: any. */
#ifndef WZP_CORE_MNEMONIC_WORDS_H
#define WZP_CORE_MNEMONIC_WORDS_H

#define WZP_MNEMONIC_LIST_WORDS 2048
/** Three to eight lower-case letters and NUL. */
#define WZP_MNEMONIC_WORD_TEXT 9

/** Sorted; a word's place is the value of its eleven bits. */
extern const char wzp_mnemonic_words[WZP_MNEMONIC_LIST_WORDS][WZP_MNEMONIC_WORD_TEXT];

#endif
