// What axe-core finds serious or critical on a page of the app, but for what is `streamlits` own.
async (streamlits) => {
  const found = await axe.run(document, { resultTypes: ['violations'], elementRef: true });
  const ours = (rule, element) =>
    !streamlits.some(({ rules, where }) => rules.includes(rule) && element.closest(where));
  return found.violations
    .filter(({ impact }) => ['serious', 'critical'].includes(impact))
    .flatMap(({ id, nodes }) => nodes
      .filter(({ element }) => ours(id, element))
      .map(({ element, failureSummary }) =>
        `${id}: ${element.outerHTML.slice(0, 200)} ${failureSummary}`));
}
