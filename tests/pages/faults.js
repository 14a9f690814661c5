// What is broken on a page of the app: exceptions, text that is cut off, things that overlap or stick out,
// charts that only who sees them can read.
() => {
  const faults = [];
  const name = (element) => `${element.dataset.testid ?? element.tagName}: ${element.innerText.slice(0, 60)}`;
  const shown = (element) => element.checkVisibility() && element.getClientRects().length > 0;
  const main = document.querySelector('[data-testid=stMain]');

  for (const element of document.querySelectorAll('[data-testid=stException]')) {
    faults.push(`exception: ${element.innerText.slice(0, 200)}`);
  }

  const page = document.querySelector('[data-testid=stAppViewContainer]');
  if (page.scrollWidth > page.clientWidth) {
    faults.push(`wider than the window: ${page.scrollWidth} of ${page.clientWidth} pixels`);
  }

  // Text inside a box that hides what does not fit.
  for (const element of main.querySelectorAll('label, p, h1, h2, h3, button, a, [data-testid^=stMetric] div')) {
    const style = getComputedStyle(element);
    const hides = style.overflowX !== 'visible' || style.textOverflow === 'ellipsis';
    if (shown(element) && hides && element.innerText.trim() && element.scrollWidth > element.clientWidth + 1) {
      faults.push(`cut: ${name(element)}`);
    }
  }

  // Neighbours in one container must not lie on each other.
  for (const block of main.querySelectorAll('[data-testid=stVerticalBlock], [data-testid=stHorizontalBlock]')) {
    const boxes = [...block.children]
      .filter(shown)
      .map((element) => ({ element, box: element.getBoundingClientRect() }))
      .filter(({ box }) => box.width > 1 && box.height > 1);
    boxes.forEach(({ element, box }, place) => {
      for (const other of boxes.slice(place + 1)) {
        const across = Math.min(box.right, other.box.right) - Math.max(box.left, other.box.left);
        const down = Math.min(box.bottom, other.box.bottom) - Math.max(box.top, other.box.top);
        if (across > 2 && down > 2) {
          faults.push(`overlap: ${name(element)} / ${name(other.element)}`);
        }
      }
    });
  }
  // A chart says its figures in words, for who does not see it.
  for (const chart of main.querySelectorAll('[data-testid=stVegaLiteChart], [data-testid=stEChartsChart]')) {
    const words = chart.closest('[aria-label]')?.ariaLabel ?? '';
    if (shown(chart) && !/\d/.test(words)) {
      faults.push(`chart without figures in words: ${words}`);
    }
  }
  return faults;
}
