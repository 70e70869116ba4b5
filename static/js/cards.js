// Cards of questions: new ones come, decided ones go; one that stays keeps what is being written into it.

export function putCards(before, after) {
  const fresh = new Map([...after.querySelectorAll(":scope > [data-card]")].map((card) => [card.dataset.card, card]));
  for (const card of [...before.querySelectorAll(":scope > [data-card]")]) {
    if (fresh.delete(card.dataset.card)) continue;
    card.remove();
  }
  before.append(...fresh.values());
}
