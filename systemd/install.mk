# install.mk - units, installation and the Debian package; included by the Makefile.
# Where the distribution keeps such files, pkg-config knows; the fallbacks are Debian's.
SBINDIR       ?= $(PREFIX)/sbin
MANDIR        ?= $(PREFIX)/share/man
DOCDIR        ?= $(PREFIX)/share/doc/chwsyncd
SYSCONFDIR    ?= /etc
systemd_path   = $(or $(shell pkg-config --variable=$(1) systemd 2>/dev/null),$(2))
UNITDIR       ?= $(call systemd_path,systemdsystemunitdir,/lib/systemd/system)
SYSUSERSDIR   ?= $(call systemd_path,sysusersdir,/usr/lib/sysusers.d)
TMPFILESDIR   ?= $(call systemd_path,tmpfilesdir,/usr/lib/tmpfiles.d)
CATALOGDIR    ?= $(call systemd_path,catalogdir,/usr/lib/systemd/catalog)
COMPLETIONDIR ?= $(or $(shell pkg-config --variable=completionsdir bash-completion 2>/dev/null),/usr/share/bash-completion/completions)

MADE_UNITS := $(BUILD)/systemd/chwsyncd.service $(BUILD)/systemd/chwsyncd@.service

.PHONY: units install uninstall deb FORCE
units: $(MADE_UNITS) $(BUILD)/systemd/chwsyncd-metrics@.service
# Made anew each time, because SBINDIR may be another one than before.
$(MADE_UNITS): $(BUILD)/systemd/%: systemd/chwsyncd.service.in FORCE
	@mkdir -p $(@D)
	$(Q)systemd/make-unit $< '$*' $(SBINDIR) > '$@'
$(BUILD)/systemd/chwsyncd-metrics@.service: systemd/chwsyncd-metrics@.service FORCE
	@mkdir -p $(@D)
	$(Q)sed 's|@SBINDIR@|$(SBINDIR)|' '$<' > '$@'
FORCE:

define newline


endef

# SOURCE TARGET MODE of everything that is installed, one a line.
define INSTALLED
$(BUILD)/chwsyncd $(SBINDIR)/chwsyncd 755
$(BUILD)/systemd/chwsyncd.service $(UNITDIR)/chwsyncd.service 644
$(BUILD)/systemd/chwsyncd@.service $(UNITDIR)/chwsyncd@.service 644
$(BUILD)/systemd/chwsyncd-metrics@.service $(UNITDIR)/chwsyncd-metrics@.service 644
systemd/chwsyncd-metrics.socket $(UNITDIR)/chwsyncd-metrics.socket 644
systemd/chwsyncd.catalog $(CATALOGDIR)/chwsyncd.catalog 644
systemd/chwsyncd.sysusers $(SYSUSERSDIR)/chwsyncd.conf 644
systemd/chwsyncd.tmpfiles $(TMPFILESDIR)/chwsyncd.conf 644
etc/chwsyncd.conf $(DOCDIR)/examples/chwsyncd.conf 644
etc/chwsyncd.bash-completion $(COMPLETIONDIR)/chwsyncd 644
etc/chwsyncd.8 $(MANDIR)/man8/chwsyncd.8 644
etc/chwsyncd.conf.5 $(MANDIR)/man5/chwsyncd.conf.5 644
etc/chwsyncd-budget.7 $(MANDIR)/man7/chwsyncd-budget.7 644
etc/chwsyncd-contract.7 $(MANDIR)/man7/chwsyncd-contract.7 644
etc/chwsyncd-operations.7 $(MANDIR)/man7/chwsyncd-operations.7 644
etc/chwsyncd-alerts.yml $(DOCDIR)/examples/chwsyncd-alerts.yml 644
etc/chwsyncd-dashboard.json $(DOCDIR)/examples/chwsyncd-dashboard.json 644
README.md $(DOCDIR)/README.md 644
sql/sample-store.sql $(DOCDIR)/examples/sample-store.sql 644
$(foreach adapter,$(wildcard sql/adapters/*.sql),$(adapter) $(DOCDIR)/examples/adapters/$(notdir $(adapter)) 644$(newline))
endef
export INSTALLED

# A configuration that is already there is left alone.
install: all units ## PREFIX, DESTDIR; then systemd-sysusers, systemd-tmpfiles --create, systemctl daemon-reload
	@echo "$$INSTALLED" | while read -r source target mode; do [ -n "$$source" ] || continue; \
	    install -D -m "$$mode" "$$source" "$(DESTDIR)$$target" || exit 1; done
	@test -e $(DESTDIR)$(SYSCONFDIR)/chwsyncd/chwsyncd.conf || \
	    install -D -m 644 etc/chwsyncd.conf $(DESTDIR)$(SYSCONFDIR)/chwsyncd/chwsyncd.conf

uninstall: ## what install put there; a configuration that was changed stays
	@echo "$$INSTALLED" | while read -r source target mode; do [ -z "$$source" ] || rm -f "$(DESTDIR)$$target"; done
	@! cmp -s etc/chwsyncd.conf $(DESTDIR)$(SYSCONFDIR)/chwsyncd/chwsyncd.conf || \
	    rm -f $(DESTDIR)$(SYSCONFDIR)/chwsyncd/chwsyncd.conf
	@rmdir $(DESTDIR)$(DOCDIR)/examples/adapters $(DESTDIR)$(DOCDIR)/examples $(DESTDIR)$(DOCDIR) \
	    $(DESTDIR)$(SYSCONFDIR)/chwsyncd 2>/dev/null || true

# The package is built from a copy of the tree, with the packaging where Debian's tools want it.
DEB_TREE := $(BUILD)/deb/chwsyncd-$(VERSION)
deb: ## the Debian package, build/chwsyncd_VERSION_ARCH.deb
	@command -v dh >/dev/null || tests/lib/install-dependencies
	@rm -rf $(BUILD)/deb && mkdir -p $(DEB_TREE)
	@tar -cf - --exclude=./$(BUILD) --exclude=./build --exclude=./.git . | tar -xf - -C $(DEB_TREE)
	@cp -r systemd/debian $(DEB_TREE)/debian
	@cp systemd/chwsyncd.sysusers $(DEB_TREE)/debian/chwsyncd.sysusers
	@cd $(DEB_TREE) && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL DEB_BUILD_OPTIONS=noautodbgsym dpkg-buildpackage --build=binary --no-sign --jobs=2 \
	    >../build.log 2>&1 || { tail -n 30 ../build.log; exit 1; }
	@cp $(BUILD)/deb/chwsyncd_$(VERSION)_*.deb $(BUILD)/
	@ls -l $(BUILD)/chwsyncd_$(VERSION)_*.deb
