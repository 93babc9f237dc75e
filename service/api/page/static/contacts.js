// How many leads of a list are contacted, as `contact_list` of service/model/decide.py has it: a test compares them.

/** The contacts that the team makes of a list of so many leads, of which so many pay, at so many per 1,000 leads. */
export function mostContacts(count, pays, capacity) {
  if (capacity >= 1000) return pays;
  return Math.max(Math.floor((capacity * count) / 1000 + 0.5), pays > 0 ? 1 : 0);
}

/** How many of the best leads are contacted for their rank: those that pay and fit beside the explored ones. `drawn`
 * says of each lead, best first, whether it is explored where it is not among them. */
export function bestThatFit(drawn, pays, most) {
  let explored = drawn.filter(Boolean).length;
  let best = 0;
  for (let rank = 0; rank <= Math.min(pays, most); rank += 1) {
    if (rank + explored <= most) best = rank;
    if (drawn[rank]) explored -= 1;
  }
  return best;
}
