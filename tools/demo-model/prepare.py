"""Turns a folder of plain-text books into a tokenizer and files of token ids.

Writes to the output folder: tokenizer.json (byte-level BPE, <|endoftext|> is 0), train.bin and heldout.bin (uint16
token ids), heldout.txt (the held-out text). Every fiftieth section of the books is held out and never trained on.
"""

import argparse
import random
import re
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

END_OF_TEXT = "<|endoftext|>"
VOCABULARY = 4096
HELD_OUT_EVERY = 50
# A section longer than this becomes several, so that what is held out is spread over the books.
SECTION_CHARACTERS = 12_000
# Of the characters, so many in a hundred are conversations made from the stories.
CONVERSATION_PERCENT = 7


def sections(book: str) -> list[str]:
    """The book's chapters and stories, without their headings."""
    found, paragraphs = [], []
    for paragraph in re.split(r"\n\s*\n", book):
        paragraph = clean(paragraph)
        is_heading = len(paragraph) < 80 and not re.search(r"[.!?,;:'\"-]$", paragraph)
        too_long = sum(map(len, paragraphs)) > SECTION_CHARACTERS
        if (is_heading or too_long) and paragraphs:
            found.append("\n\n".join(paragraphs))
            paragraphs = []
        if paragraph and not is_heading:
            paragraphs.append(paragraph)
    found.append("\n\n".join(paragraphs))
    return [section for section in found if len(section) > 400]


def clean(paragraph: str) -> str:
    """One line, straight quotes, double for speech, no marks of emphasis."""
    text = re.sub(r"\s+", " ", paragraph).strip()
    for fancy, plain in {"“": '"', "”": '"', "‘": "'", "’": "'", "—": "--", "–": "-", "…": "..."}.items():
        text = text.replace(fancy, plain)
    return re.sub(r"[_*=|{}\[\]<>]", "", text)


def double_quotes(section: str) -> str:
    """Speech between single quotes, as some books have it, between double ones."""
    if section.count('"') > section.count("'") / 4:
        return section
    text = section.replace('"', "\0")
    text = re.sub(r"(?<![\w])'(?=[\w\-])", '"', text)
    text = re.sub(r"(?<=[.,!?;\-])'(?![\w])", '"', text)
    return text.replace("\0", "'")


def conversations(sections: list[str], characters: int, rng: random.Random) -> list[str]:
    """Conversations of a user and an assistant: requests for stories, answered by passages of the stories."""
    greetings = [
        ("Hello!", "Hello! Shall I tell you a story?"),
        ("Hi.", "Good day to you! What would you like to hear about?"),
        ("Good morning!", "Good morning! I know many old stories. What shall it be about?"),
        ("Who are you?", "I am a small bird who has read many stories, and I like to tell them."),
        ("How are you?", "Very well, thank you, and glad of the company."),
        ("Thank you.", "You are very welcome."),
        ("Thanks, that was nice!", "I am glad you liked it. Shall I tell you another?"),
        ("Goodbye.", "Goodbye, and come again soon!"),
    ]
    requests = [
        "Tell me a story about {}.",
        "Tell me about {}.",
        "Do you know a story about {}?",
        "I would like to hear about {}.",
        "Please tell me something about {}.",
        "What do you know about {}?",
    ]
    nouns = re.compile(
        r"\b(?:king|queen|princess|prince|fox|wolf|bear|bird|cat|dog|mouse|giant|witch|fairy|dragon|horse|boy|girl|"
        r"garden|forest|sea|river|castle|farmer|miller|fisherman|soldier|tailor|hare|rabbit|frog|lion|eagle|mother|"
        r"father|brother|sister|children|house|mountain|moon|sun|snow|tree|rose|apple|ship|island|shoemaker|robin)\b"
    )
    made, length = [], 0
    while length < characters:
        turns = [rng.choice(greetings)] if rng.random() < 0.4 else []
        for _ in range(rng.randint(1, 3)):
            passage = rng.choice(rng.choice(sections).split("\n\n"))
            sentences = re.findall(r"[^.!?]+[.!?]+[\"']?\s*", passage)
            answer = ""
            while sentences and len(answer) < rng.randint(150, 500):
                answer += sentences.pop(0)
            subject = nouns.search(answer.lower())
            if subject is None or len(answer) < 100:
                continue
            article = "" if subject[0] in ("children",) else rng.choice(["a ", "the "])
            turns.append((rng.choice(requests).format(article + subject[0]), answer.strip()))
        if rng.random() < 0.2:
            turns.append(rng.choice(greetings[5:]))
        if turns:
            made.append("\n\n".join(f"User: {asked}\n\nAssistant: {answer}" for asked, answer in turns) + "\n\n")
            length += len(made[-1])
    return made


def train_tokenizer(texts: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def token_ids(tokenizer: Tokenizer, texts: list[str]) -> np.ndarray:
    end = tokenizer.token_to_id(END_OF_TEXT)
    encoded = tokenizer.encode_batch(texts)
    return np.concatenate([np.array([end, *text.ids], dtype=np.uint16) for text in encoded])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("books", type=Path, help="folder of .txt files")
    parser.add_argument("output", type=Path, help="folder for what is made")
    arguments = parser.parse_args()
    rng = random.Random(7)

    books = sorted(arguments.books.glob("*.txt"))
    if not books:
        parser.error(f"{arguments.books} holds no .txt files")
    everything = [double_quotes(section) for book in books for section in sections(book.read_text(encoding="utf-8"))]
    heldout = everything[::HELD_OUT_EVERY]
    training = [section for index, section in enumerate(everything) if index % HELD_OUT_EVERY]
    talk = conversations(training, sum(map(len, training)) * CONVERSATION_PERCENT // 100, rng)
    training += talk
    rng.shuffle(training)

    arguments.output.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(training)
    tokenizer.save(str(arguments.output / "tokenizer.json"))
    (arguments.output / "heldout.txt").write_text("\n\n".join(heldout) + "\n")
    for name, texts in {"train": training, "heldout": heldout}.items():
        ids = token_ids(tokenizer, texts)
        ids.tofile(arguments.output / f"{name}.bin")
        print(f"{name}: {len(texts)} texts, {sum(map(len, texts))} characters, {len(ids)} tokens")


if __name__ == "__main__":
    main()
